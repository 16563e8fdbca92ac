//! Delivers an alert as a mail.
//!
//! The only file that uses lettre. Not for what the mail says: see [`Message::words`].

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, MessageBuilder};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{SmtpTransport, Transport};
use mlops_core::config::alerts::{Smtp, SmtpTls};
use mlops_core::stage::alert::Message;
use mlops_core::text;

pub(super) fn send(
    smtp: &Smtp,
    password: Option<String>,
    message: &Message,
    timeout: Duration,
) -> Result<(), String> {
    let mail = mail(smtp, message)?;
    let mut transport = SmtpTransport::builder_dangerous(&smtp.host)
        .port(smtp.port)
        .timeout(Some(timeout))
        .tls(tls(smtp)?);
    if let (Some(user), Some(password)) = (&smtp.user, password) {
        transport = transport.credentials(Credentials::new(user.clone(), password));
    }
    let transport = transport.build();
    // The time-out of the library is one of each step, and none of looking up the name.
    let (said, heard) = channel();
    std::thread::Builder::new()
        .name("mail".to_owned())
        .spawn(move || said.send(transport.send(&mail).map(drop)))
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    match heard.recv_timeout(timeout) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(text::causes(&error)),
        Err(RecvTimeoutError::Timeout) => Err("no answer in time".to_owned()),
        Err(RecvTimeoutError::Disconnected) => Err("sending broke off".to_owned()),
    }
}

fn mail(smtp: &Smtp, message: &Message) -> Result<lettre::Message, String> {
    let address = |address: &str| {
        address
            .parse::<Mailbox>()
            .map_err(|error| format!("{address:?} is not an address: {error}"))
    };
    let from = address(&smtp.from)?;
    let domain = from.email.domain().to_owned();
    let mut mail: MessageBuilder = lettre::Message::builder().from(from);
    for to in &smtp.to {
        mail = mail.to(address(to)?);
    }
    mail.subject(message.title())
        // A repeated message has the same id, by which mail programs know it.
        .message_id(Some(format!("<{}@{domain}>", message.id)))
        .header(ContentType::TEXT_PLAIN)
        .body(message.words())
        .map_err(|error| format!("the mail cannot be written: {error}"))
}

fn tls(smtp: &Smtp) -> Result<Tls, String> {
    if smtp.tls == SmtpTls::None {
        return Ok(Tls::None);
    }
    // lettre takes the provider of the process.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut parameters = TlsParameters::builder(smtp.host.clone());
    if let Some(path) = &smtp.ca_file {
        let place = path.display();
        let pem = std::fs::read(path).map_err(|error| format!("cannot read {place}: {error}"))?;
        let certificate = Certificate::from_pem(&pem)
            .map_err(|error| format!("{place} has no certificate: {error}"))?;
        parameters =
            parameters.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    let parameters = parameters.build_rustls().map_err(|error| text::causes(&error))?;
    Ok(match smtp.tls {
        SmtpTls::Tls => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}
