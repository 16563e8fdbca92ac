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
    /// Outcomes of predictions, which are kept.
    Labels,
    /// Decisions on challengers that wait.
    Approve,
}

impl Scope {
    /// Those that a token can have.
    const OF_TOKENS: [Self; 4] = [Self::Read, Self::Predict, Self::Labels, Self::Approve];

    /// Its name in files of tokens.
    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Predict => "predict",
            Self::Labels => "labels",
            Self::Approve => "approve",
        }
    }

    /// Whether what it allows changes the workspace. That always takes a token, which no browser sends by
    /// itself.
    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Labels | Self::Approve)
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The minimum length of a token in characters.
const MIN_LENGTH: usize = 16;
/// The longest name of a token in characters.
const MAX_NAME: usize = 100;

/// The known tokens. Without any for reading or predicting, everybody may do that.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Vec<Known>);

/// A token that is known.
#[derive(Debug, Clone)]
struct Known {
    digest: Digest,
    scope: Scope,
    /// Who has it, for records.
    name: String,
}

impl Tokens {
    /// Whether there are no tokens for reading or predicting.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|known| known.scope.writes())
    }

    /// Adds a token for `scope`: `read`, `predict`, `labels` or `approve`; `place` is where it was given, and
    /// the name under which records have who used it.
    ///
    /// # Errors
    /// `Config` for another scope, or a token that is too short or has characters that no header
    /// may contain.
    pub fn add(&mut self, scope: &str, token: &str, place: &str) -> Result<()> {
        self.add_named(scope, token, place, None)
    }

    fn add_named(
        &mut self,
        scope: &str,
        token: &str,
        place: &str,
        name: Option<&str>,
    ) -> Result<()> {
        let bad = |message: &str| Error::config(place, vec![message.to_owned()]);
        if token.len() < MIN_LENGTH || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(bad(
                "a token must be at least 16 printable ASCII characters without spaces: \
                            make one with `openssl rand -hex 32`",
            ));
        }
        let named = Scope::OF_TOKENS.into_iter().find(|known| known.name() == scope);
        let Some(scope) = named else {
            let message = "a token's scope is \"read\", \"predict\", \"labels\" or \"approve\"";
            return Err(bad(message));
        };
        let name = name.unwrap_or(place).chars().take(MAX_NAME).collect();
        self.0.push(Known { digest: Digest::of(token.as_bytes()), scope, name });
        Ok(())
    }

    /// Adds the tokens in `text`: each line has a scope, a token and perhaps the name of who has it; `#` starts
    /// a comment.
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
            let Some((scope, rest)) = line.split_once([' ', '\t']) else {
                let message = "a line is a scope, a space and a token".to_owned();
                return Err(Error::config(place, vec![message]));
            };
            let rest = rest.trim();
            let (token, name) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            let name = Some(name.trim()).filter(|name| !name.is_empty());
            self.add_named(scope, token, &place, name)?;
        }
        Ok(())
    }

    /// The digest of the token that `headers` have, if it is known.
    pub(crate) fn known(&self, headers: &HeaderMap) -> Option<Digest> {
        let found = sent(headers).filter(|digest| self.granted(*digest) != 0);
        let cookies = || of_cookie(headers).into_iter().map(|token| Digest::of(token.as_bytes()));
        found.or_else(|| cookies().find(|digest| self.granted(*digest) != 0))
    }

    /// Whether `token` is known, whatever it allows.
    pub(crate) fn knows(&self, token: &str) -> bool {
        self.granted(Digest::of(token.as_bytes())) != 0
    }

    /// The name of who sent the token in `headers`, which has `scope`.
    pub(crate) fn holder(&self, headers: &HeaderMap, scope: Scope) -> Option<&str> {
        let digest = sent(headers)?;
        // All are compared, as whenever a token is.
        let holders = self.0.iter().filter(|known| known.scope == scope);
        let found: Vec<&Known> = holders.filter(|known| same(digest, known.digest) != 0).collect();
        found.first().map(|known| known.name.as_str())
    }

    /// The scopes of a token as bits, in a time that does not tell how much of it is right.
    fn granted(&self, digest: Digest) -> u8 {
        let of = |known: &Known| known.scope.bit() * same(digest, known.digest);
        self.0.iter().fold(0, |found, known| found | of(known))
    }

    /// Checks that the request with `headers` is allowed `scope`; says where its token came from.
    pub(crate) fn check(&self, headers: &HeaderMap, scope: Scope) -> Result<Came, Problem> {
        if scope == Scope::Open || !scope.writes() && self.is_empty() {
            return Ok(Came::Given);
        }
        if scope.writes() && !self.0.iter().any(|known| known.scope == scope) {
            let name = scope.name();
            let detail = format!(
                "nobody may do that here: it needs a token of the scope \"{name}\", and there is none \
                 (MLOPS_{}_TOKEN, or a line of --tokens-file)",
                name.to_uppercase()
            );
            return Err(Problem::refused(Refusal::Scope, detail));
        }
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            // A browser sends its cookies whoever made it send the request.
            let cookies = if scope.writes() { Vec::new() } else { of_cookie(headers) };
            let digests = cookies.iter().map(|token| Digest::of(token.as_bytes()));
            let granted = digests.fold(0, |found, digest| found | self.granted(digest));
            Self::allows(scope, !cookies.is_empty(), granted)?;
            return Ok(Came::Cookie);
        };
        let digest = bearer(value);
        let granted = digest.map_or(0, |digest| self.granted(digest));
        Self::allows(scope, digest.is_some(), granted)?;
        Ok(Came::Given)
    }

    /// Whether `scope` is allowed with tokens, if any were `sent`, which have the scopes `granted`.
    fn allows(scope: Scope, sent: bool, granted: u8) -> Result<(), Problem> {
        if !sent {
            let detail = "send a token: the header \"Authorization: Bearer …\"";
            let problem = Problem::refused(Refusal::NoToken, detail);
            return Err(problem.with(header::WWW_AUTHENTICATE, "Bearer"));
        }
        if granted & scope.bit() != 0 {
            return Ok(());
        }
        if granted == 0 {
            return Err(Problem::refused(Refusal::UnknownToken, "this token is not known here")
                .with(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""));
        }
        let detail = format!(
            "this token is for something else: this endpoint needs one of the scope \"{}\"",
            scope.name()
        );
        Err(Problem::refused(Refusal::Scope, detail)
            .with(header::WWW_AUTHENTICATE, "Bearer error=\"insufficient_scope\""))
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

/// 1 if the digests are the same, and else 0, in constant time.
fn same(one: Digest, other: Digest) -> u8 {
    let pairs = one.bytes().iter().zip(other.bytes());
    let difference = pairs.fold(0_u8, |d, (a, b)| d | (a ^ b));
    u8::from(std::hint::black_box(difference) == 0)
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
    fn what_writes_takes_a_token_of_its_own_which_has_a_name() {
        let bearer = |token: &str| {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            headers.insert(header::AUTHORIZATION, value);
            headers
        };
        let status = |tokens: &Tokens, headers: &HeaderMap, scope| {
            tokens.check(headers, scope).err().map(|problem| problem.status.as_u16())
        };
        let mut tokens = Tokens::default();
        assert_eq!(status(&tokens, &HeaderMap::new(), Scope::Labels), Some(403));
        assert_eq!(status(&tokens, &HeaderMap::new(), Scope::Read), None);
        let text = "approve approve-0123456789 Anna Ruiz\nlabels labels-0123456789ab\n";
        tokens.add_lines(text, "tokens").unwrap();
        // Who may read does not change by that.
        assert!(tokens.is_empty());
        assert_eq!(status(&tokens, &HeaderMap::new(), Scope::Read), None);
        for (token, scope, expected) in [
            ("approve-0123456789", Scope::Approve, None),
            ("approve-0123456789", Scope::Labels, Some(403)),
            ("labels-0123456789ab", Scope::Labels, None),
            ("labels-0123456789ab", Scope::Approve, Some(403)),
            ("labels-0123456789ac", Scope::Labels, Some(401)),
        ] {
            assert_eq!(status(&tokens, &bearer(token), scope), expected, "{token} {scope:?}");
        }
        assert_eq!(status(&tokens, &HeaderMap::new(), Scope::Labels), Some(401));
        let mut cookie = HeaderMap::new();
        let value = format!("{COOKIE}=labels-0123456789ab");
        cookie.insert(header::COOKIE, HeaderValue::from_str(&value).unwrap());
        assert_eq!(status(&tokens, &cookie, Scope::Labels), Some(401));
        let holder = |token, scope| tokens.holder(&bearer(token), scope).map(str::to_owned);
        assert_eq!(holder("approve-0123456789", Scope::Approve).as_deref(), Some("Anna Ruiz"));
        let place = Some("tokens, line 2");
        assert_eq!(holder("labels-0123456789ab", Scope::Labels).as_deref(), place);
        assert_eq!(holder("labels-0123456789ab", Scope::Approve), None);
    }

    #[test]
    fn a_weak_token_is_refused_with_its_place() {
        for text in [
            "read short",
            "write 0123456789abcdef",
            "read 0123456789abc def",
            "alone",
            "approve short Anna",
        ] {
            let error = Tokens::default().add_lines(text, "tokens.txt").unwrap_err().to_string();
            assert!(error.contains("tokens.txt, line 1"), "{error}");
            assert!(!error.contains("0123456789"), "{error}");
        }
    }
}
