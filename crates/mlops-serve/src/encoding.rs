//! gzip: decompresses requests, and compresses large answers if the client accepts that.

use std::io::{Read as _, Write as _};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::limits::Limits;
use crate::problem::Problem;

/// Shorter answers are not compressed: they would hardly shrink.
pub(crate) const WORTH: usize = 1024;

/// Whether the body that `headers` announce is compressed.
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

/// Decompresses a body, within `limits`.
pub(crate) fn unpack(bytes: &[u8], limits: &mut Limits) -> Result<Bytes, Problem> {
    let mut input = MultiGzDecoder::new(bytes);
    let (mut out, mut piece) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let read = input.read(&mut piece);
        let n = read.map_err(|_| Problem::malformed("the body is not sound gzip"))?;
        if n == 0 {
            return Ok(out.into());
        }
        limits.grow(out.len(), n)?;
        out.extend_from_slice(&piece[..n]);
    }
}

/// Whether the client with `headers` accepts gzip.
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

/// Compresses an answer piece by piece.
pub(crate) struct Packer(GzEncoder<Vec<u8>>);

impl Default for Packer {
    fn default() -> Self {
        // The fastest level hardly packs numbers.
        Self(GzEncoder::new(Vec::new(), Compression::new(2)))
    }
}

impl Packer {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        // Writing to a vector cannot fail.
        let _ = self.0.write_all(bytes);
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.finish().unwrap_or_default()
    }
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
        let mut gzip = Packer::default();
        gzip.add(&vec![b' '; 1 << 20]);
        let packed = gzip.finish();
        assert!(packed.len() < 1 << 14);
        let unpack = |bytes: &[u8], limit| unpack(bytes, &mut Limits::test(limit));
        assert_eq!(unpack(&packed, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(unpack(&packed, (1 << 20) - 1).unwrap_err().status, 413);
        assert_eq!(unpack(&packed[..100], 1 << 20).unwrap_err().status, 400);
    }
}
