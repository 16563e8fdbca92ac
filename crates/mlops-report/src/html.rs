//! stub
/// Escapes.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
/// Render.
pub fn render(_r: &crate::Report) -> mlops_core::Result<String> {
    Ok(String::new())
}
