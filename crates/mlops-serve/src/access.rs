//! Authorisation: bearer tokens with a scope, compared in constant time.
//!
//! Tokens are stored as digests. Not for reading them: see `bins/app`.

use axum::http::{HeaderMap, HeaderValue, header};
use mlops_core::platform::digest::Digest;
use mlops_core::{Error, Result};

use crate::pages::query::decoded;
use crate::problem::Problem;
use crate::refusal::Refusal;

/// The cookie in which a browser keeps the tokens with which its user logged in.
pub(crate) const COOKIE: &str = "mlops_tokens";

/// Where the token of an allowed request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// From the program or person that sent the request, or none was needed.
    Given,
    /// From a browser, which sends its cookies whoever made it send a request.
    Cookie,
}

/// The access that a token grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// No token and no limit: health checks.
    Open,
    /// Records, metrics and descriptions.
    Read,
    /// Predictions and scores for rows in requests.
    Predict,
}

/// The minimum length of a token in characters.
const MIN_LENGTH: usize = 16;

/// The known tokens. Without any, all requests are allowed.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    read: Vec<Digest>,
    predict: Vec<Digest>,
}

impl Tokens {
    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.read.is_empty() && self.predict.is_empty()
    }

    /// Adds a token for `scope`, `read` or `predict`; `place` is where it was given.
    ///
    /// # Errors
    /// `Config` for another scope, or a token that is too short or has characters that no header
    /// may contain.
    pub fn add(&mut self, scope: &str, token: &str, place: &str) -> Result<()> {
        let bad = |message: &str| Error::config(place, vec![message.to_owned()]);
        if token.len() < MIN_LENGTH || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad(
                "a token must have at least 16 characters, none of them a space: make \
                            one with `openssl rand -hex 32`",
            ));
        }
        match scope {
            "read" => self.read.push(Digest::of(token.as_bytes())),
            "predict" => self.predict.push(Digest::of(token.as_bytes())),
            _ => return Err(bad("a token's scope is \"read\" or \"predict\"")),
        }
        Ok(())
    }

    /// Adds the tokens in `text`: each line has a scope and a token, `#` starts a comment.
    ///
    /// # Errors
    /// As for [`Tokens::add`], naming the line.
    pub fn add_lines(&mut self, text: &str, place: &str) -> Result<()> {
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = format!("{place}, line {}", number + 1);
            let Some((scope, token)) = line.split_once([' ', '\t']) else {
                let message = "a line is a scope, a space and a token".to_owned();
                return Err(Error::config(place, vec![message]));
            };
            self.add(scope, token.trim(), &place)?;
        }
        Ok(())
    }

    /// The digest of the token that `headers` have, if it is known.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Option<Digest> {
        let known = |digest| among(digest, &self.read) | among(digest, &self.predict);
        let found = sent(headers).filter(|digest| known(*digest));
        let cookies = || of_cookie(headers).into_iter().map(|token| Digest::of(token.as_bytes()));
        found.or_else(|| cookies().find(|digest| known(*digest)))
    }

    /// Whether `token` is known, whatever it allows.
    pub(crate) fn knows(&self, token: &str) -> bool {
        let digest = Digest::of(token.as_bytes());
        among(digest, &self.read) | among(digest, &self.predict)
    }

    /// Checks that the request with `headers` is allowed `scope`; says where its token came from.
    pub(crate) fn check(&self, headers: &HeaderMap, scope: Scope) -> Result<Came, Problem> {
        if scope == Scope::Open || self.is_empty() {
            return Ok(Came::Given);
        }
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            let cookies = of_cookie(headers);
            let any = |tokens: &[Digest]| {
                cookies
                    .iter()
                    .fold(false, |found, token| found | among(Digest::of(token.as_bytes()), tokens))
            };
            Self::allows(scope, !cookies.is_empty(), any(&self.read), any(&self.predict))?;
            return Ok(Came::Cookie);
        };
        let digest = bearer(value);
        let is = |tokens: &[Digest]| digest.is_some_and(|digest| among(digest, tokens));
        Self::allows(scope, digest.is_some(), is(&self.read), is(&self.predict))?;
        Ok(Came::Given)
    }

    /// Whether `scope` is allowed with tokens, if any were `sent`, of which one has the scope for reading or
    /// predicting.
    fn allows(scope: Scope, sent: bool, read: bool, predict: bool) -> Result<(), Problem> {
        if !sent {
            let detail = "send a token: the header \"Authorization: Bearer …\"";
            let problem = Problem::refused(Refusal::NoToken, detail);
            return Err(problem.with(header::WWW_AUTHENTICATE, "Bearer"));
        }
        match (scope, read, predict) {
            (Scope::Read, true, _) | (Scope::Predict, _, true) => Ok(()),
            (_, false, false) => {
                Err(Problem::refused(Refusal::UnknownToken, "this token is not known here")
                    .with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))
            }
            _ => Err(Problem::refused(
                Refusal::Scope,
                if scope == Scope::Read {
                    "this token allows predictions only; this endpoint needs the scope \"read\""
                } else {
                    "this token allows reading only; this endpoint needs the scope \"predict\""
                },
            )
            .with(header::WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\"")),
        }
    }
}

/// The digest of the token in the header `Authorization`, whoever made it up.
fn sent(headers: &HeaderMap) -> Option<Digest> {
    headers.get(header::AUTHORIZATION).and_then(bearer)
}

fn bearer(value: &HeaderValue) -> Option<Digest> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Digest::of(token.trim().as_bytes()))
}

/// The tokens in the cookie of a browser.
pub(crate) fn of_cookie(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let pairs = values.flat_map(|v| v.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ours = pairs.filter(|(name, _)| *name == COOKIE).flat_map(|(_, value)| value.split('.'));
    // A browser with more of them is none.
    ours.filter(|token| !token.is_empty()).take(16).map(decoded).collect()
}

/// Whether `digest` is among `known`, in constant time.
fn among(digest: Digest, known: &[Digest]) -> bool {
    let mut found = 0_u8;
    for other in known {
        let pairs = digest.bytes().iter().zip(other.bytes());
        let difference = pairs.fold(0_u8, |d, (a, b)| d | (a ^ b));
        found |= u8::from(std::hint::black_box(difference) == 0);
    }
    found != 0
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const READ: &str = "read-0123456789abcdef";
    const PREDICT: &str = "predict-0123456789abcdef";

    #[test]
    fn each_scope_has_its_token() {
        let mut tokens = Tokens::default();
        let text = format!("# for the dashboard\nread {READ}\n\npredict\t{PREDICT}\n");
        tokens.add_lines(&text, "tokens").unwrap();
        let status = |token: Option<&str>, scope| {
            let mut headers = HeaderMap::new();
            if let Some(token) = token {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_str(token).unwrap());
            }
            tokens.check(&headers, scope).err().map(|p| p.status.as_u16())
        };
        let cookie = |value: &str, scope| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(value).unwrap());
            tokens.check(&headers, scope).map_err(|p| p.status.as_u16())
        };
        let both = format!("a=b; {COOKIE}={READ}.{PREDICT}");
        assert_eq!(cookie(&both, Scope::Read), Ok(Came::Cookie));
        assert_eq!(cookie(&both, Scope::Predict), Ok(Came::Cookie));
        assert_eq!(cookie(&format!("{COOKIE}={READ}"), Scope::Predict), Err(403));
        assert_eq!(cookie(&format!("{COOKIE}=x"), Scope::Read), Err(401));
        assert_eq!(cookie(&format!("x{COOKIE}={READ}"), Scope::Read), Err(401));
        let (read, predict) = (format!("Bearer {READ}"), format!("bearer {PREDICT}"));
        assert_eq!(status(Some(&read), Scope::Read), None);
        assert_eq!(status(Some(&predict), Scope::Predict), None);
        assert_eq!(status(Some(&read), Scope::Predict), Some(403));
        assert_eq!(status(Some(&predict), Scope::Read), Some(403));
        for wrong in [None, Some("Bearer x"), Some("Basic eA=="), Some(READ), Some("Bearer")] {
            assert_eq!(status(wrong, Scope::Read), Some(401), "{wrong:?}");
            assert_eq!(status(wrong, Scope::Open), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_weak_token_is_refused_with_its_place() {
        for text in ["read short", "write 0123456789abcdef", "read 0123456789abc def", "alone"] {
            let error = Tokens::default().add_lines(text, "tokens.txt").unwrap_err().to_string();
            assert!(error.contains("tokens.txt, line 1"), "{error}");
            assert!(!error.contains("0123456789"), "{error}");
        }
    }
}
