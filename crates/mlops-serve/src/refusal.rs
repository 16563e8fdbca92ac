//! Why requests are refused for what they are or who sends them. Not for counting them: see
//! `refusals`.

use axum::http::StatusCode;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token.
    NoToken,
    /// A token that is not known.
    UnknownToken,
    /// A token that is for something else.
    Scope,
    /// A page of another origin.
    Origin,
    /// A host name that is not ours.
    Host,
    /// A body that is too large.
    TooLarge,
    /// Too many requests of one client.
    RateLimit,
    /// A head that is no HTTP.
    Malformed,
    /// A handshake of TLS that failed.
    Handshake,
}

impl Refusal {
    /// All of them, with their names.
    pub(crate) const ALL: [(Self, &str); 9] = [
        (Self::NoToken, "no_token"),
        (Self::UnknownToken, "unknown_token"),
        (Self::Scope, "scope"),
        (Self::Origin, "origin"),
        (Self::Host, "host"),
        (Self::TooLarge, "too_large"),
        (Self::RateLimit, "rate_limit"),
        (Self::Malformed, "malformed"),
        (Self::Handshake, "tls_handshake"),
    ];

    /// Its name in metrics and logs.
    pub(crate) fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The status of the answer; a connection that ends at a handshake has none.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::NoToken | Self::UnknownToken => StatusCode::UNAUTHORIZED,
            Self::Scope | Self::Origin => StatusCode::FORBIDDEN,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Malformed | Self::Handshake => StatusCode::BAD_REQUEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_name() {
        for (index, (why, name)) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!((why as usize, why.name()), (index, name));
        }
    }
}
