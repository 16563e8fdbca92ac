//! An S3 server on 127.0.0.1 whose bucket `bucket` is a folder named `bucket` in the folder that is its argument, for
//! measurements: `cargo run -p mlops-testkit --features s3 --example s3_server FOLDER [PORT]`. Not for tests, which
//! start one themselves.

#![expect(clippy::print_stderr, reason = "its address is all that it says")]
#![expect(clippy::unwrap_used, reason = "a panic is how a server for measurements reports")]

use std::path::Path;

use mlops_testkit::s3;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let port = arguments.get(1).map_or(0, |port| port.parse().unwrap());
    let address = s3::serve(Path::new(&arguments[0]), port);
    let [(_, id), (_, secret)] = s3::KEYS;
    eprintln!("http://{address} with AWS_ACCESS_KEY_ID={id} AWS_SECRET_ACCESS_KEY={secret}");
    std::thread::park();
}
