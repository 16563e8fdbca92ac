//! gzip: of requests that come packed, of answers that are large and wanted so.

use std::io::{Read as _, Write as _};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::problem::Problem;

/// A shorter answer is not packed: it would hardly shrink.
pub(crate) const WORTH: usize = 1024;

/// Whether the body that `headers` announce is packed.
pub(crate) fn of_request(headers: &HeaderMap) -> Result<bool, Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("?"));
    match encoding {
        None | Some("" | "identity") => Ok(false),
        Some(e) if e.eq_ignore_ascii_case("gzip") || e.eq_ignore_ascii_case("x-gzip") => Ok(true),
        Some(_) => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is packed in a way that is not known here: use gzip or none",
        )
        .with(header::ACCEPT_ENCODING, "gzip")),
    }
}

/// Unpacks a body, up to `limit` bytes.
pub(crate) fn unpack(bytes: &[u8], limit: usize) -> Result<Bytes, Problem> {
    let mut out = Vec::new();
    let mut input = MultiGzDecoder::new(bytes).take(limit as u64 + 1);
    input.read_to_end(&mut out).map_err(|_| Problem::malformed("the body is not sound gzip"))?;
    if out.len() > limit {
        let detail = format!("unpacked, the body is larger than {limit} bytes");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(out.into())
}

/// Whether the client of `headers` takes gzip.
pub(crate) fn accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let (mut gzip, mut any) = (None, None);
    for item in values.filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')) {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts.find_map(|p| p.strip_prefix("q=")).and_then(|q| q.parse::<f32>().ok());
        let wanted = weight.is_none_or(|q| q > 0.0);
        if name.eq_ignore_ascii_case("gzip") {
            gzip = Some(wanted);
        } else if name == "*" {
            any = Some(wanted);
        }
    }
    gzip.or(any).unwrap_or(false)
}

/// Packs an answer.
pub(crate) fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = GzEncoder::new(Vec::with_capacity(bytes.len() / 3), Compression::fast());
    out.write_all(bytes).ok()?;
    out.finish().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn gzip_is_used_only_where_it_is_wanted() {
        for (value, expected) in [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("*", true),
            ("*, gzip;q=0.0", false),
            ("br", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepted(&headers), expected, "{value}");
        }
        assert!(!accepted(&HeaderMap::new()));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let packed = pack(&vec![b' '; 1 << 20]).unwrap();
        assert!(packed.len() < 1 << 14);
        assert_eq!(unpack(&packed, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(unpack(&packed, (1 << 20) - 1).unwrap_err().status, 413);
        assert_eq!(unpack(&packed[..100], 1 << 20).unwrap_err().status, 400);
    }
}
