//! The section `apicalls`: where the app is, for those who call it.
//!
//! Not for the app itself, nor for its tokens, which come from the environment only.

use std::time::Duration;

use super::section::Section;

/// How the app is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCalls {
    /// Its address.
    pub url: String,
    /// How long one try may take.
    pub timeout: Duration,
}

pub(super) fn apicalls(mut section: Section) -> ApiCalls {
    let url = section.text("url");
    if let Some(url) = &url
        && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme))
    {
        section.problem("url", "must start with http:// or https://");
    }
    let timeout = section.integer("timeout_seconds", &(1..=600), 10);
    section.finish();
    let url = url.unwrap_or_else(|| "http://127.0.0.1:8000".to_owned());
    ApiCalls { url, timeout: Duration::from_secs(timeout) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Result;
    use crate::config::Config;

    fn parse(more: &str) -> Result<Config> {
        let five = r#""input_folder_path":"in","output_folder_path":"out",
            "test_data_path":"test","output_model_path":"m","prod_deployment_path":"p""#;
        Config::parse(&format!("{{{five}{more}}}"), Path::new("config.json"))
    }

    #[test]
    fn the_app_is_on_this_machine_unless_an_address_is_given() {
        let of = |more: &str| parse(more).unwrap().apicalls;
        let seconds = Duration::from_secs;
        assert_eq!(
            of(""),
            ApiCalls { url: "http://127.0.0.1:8000".to_owned(), timeout: seconds(10) }
        );
        let own = of(r#","apicalls":{"url":"https://app.example/risk","timeout_seconds":60}"#);
        assert_eq!(own.url, "https://app.example/risk");
        assert_eq!(own.timeout, seconds(60));
    }

    #[test]
    fn wrong_values_are_named_together() {
        let error =
            parse(r#","apicalls":{"url":"app.example","timeout_second":1,"timeout_seconds":0}"#)
                .unwrap_err()
                .to_string();
        for part in [
            "\"apicalls.url\" must start with http:// or https://",
            "\"apicalls.timeout_seconds\" must be a whole number from 1 to 600, not 0",
            "did you mean \"apicalls.timeout_seconds\"?",
        ] {
            assert!(error.contains(part), "missing {part:?} in:\n{error}");
        }
    }
}
