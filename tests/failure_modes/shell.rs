//! The commands: what they do when nobody reads any more, and what they never repeat.

use std::io::Read;
use std::process::{Command, Output, Stdio};

use axum::Router;
use axum::http::StatusCode;

fn lifeboat(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifeboat"));
    command
        .args(args)
        .env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .env_remove("HTTPS_PROXY")
        .env_remove("https_proxy");
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Commands that print much, little, and an error.
const COMMANDS: [(&[&str], bool); 4] = [
    (&["crd"], true),
    (&["lint", "--explain", "LB101"], true),
    (&["--help"], true),
    (&["list", "--from", "file:///nowhere"], false),
];

/// `lifeboat inspect … | head`: the reader has seen enough.
#[test]
fn a_reader_that_goes_away_ends_no_command_and_changes_no_exit_code() {
    for (args, success) in COMMANDS {
        let mut command = lifeboat(args);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut complaints = String::new();
        let stderr = child.stderr.take();
        stderr.unwrap().read_to_string(&mut complaints).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.success(), success, "{args:?}: {complaints}");
        assert!(!complaints.contains("panicked"), "{args:?}: {complaints}");
        // And nobody who would hear of an error either.
        let mut child = lifeboat(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let status = child.wait().unwrap();
        assert_eq!(status.success(), success, "{args:?}: {status}");
    }
}

#[test]
fn what_cannot_be_printed_for_another_reason_is_no_success() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = lifeboat(&["crd"])
        .stdout(Stdio::from(full))
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("failed to write to standard output"),
        "{text}"
    );
}

#[test]
fn p8_a_location_with_a_credential_is_refused_and_not_repeated() {
    for location in [
        "s3://key:hunter2@shop/a",
        "s3://key:hun/hunter2@shop/a",
        "s3://shop?secret-access-key=hunter2",
        "hunter2",
    ] {
        for command in ["list", "inspect", "drill", "restore", "verify", "report"] {
            let mut args = vec![command, "--from", location];
            let more: &[&str] = match command {
                "list" => &[],
                "restore" => &["x", "--into", "postgresql://u@localhost/d"],
                "verify" => &["x", "--database", "postgresql://u@localhost/d"],
                _ => &["x"],
            };
            args.extend(more);
            let output = lifeboat(&args).output().unwrap();
            let text = said(&output);
            assert!(!output.status.success(), "{text}");
            assert!(text.contains("location"), "{command}: {text}");
            assert!(!text.contains("hunter2"), "{command}: {text}");
        }
    }
    for uri in [
        "postgresql://u:12/hunter2@db/x",
        "postgresql://u:12?hunter2@db/x",
        "hunter2",
    ] {
        let args = [
            "backup",
            "--database",
            uri,
            "--to",
            "file:///nowhere",
            "--unencrypted",
        ];
        let output = lifeboat(&args).output().unwrap();
        let text = said(&output);
        assert!(
            !output.status.success() && !text.contains("hunter2"),
            "{text}"
        );
    }
}

/// At a shell a message names flags and parameters, not the fields of a resource.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_at_a_shell_names_what_the_shell_has() {
    let body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>expecting 'eu-west-1'</Message></Error>";
    let app = Router::new().fallback(move || async move {
        (
            StatusCode::BAD_REQUEST,
            [("content-type", "application/xml")],
            body,
        )
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!(
        "s3://shop?endpoint=http://{}",
        listener.local_addr().unwrap()
    );
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let args = ["list".to_owned(), "--from".to_owned(), location];
    let output = tokio::task::spawn_blocking(move || {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        lifeboat(&args).output().unwrap()
    });
    let text = said(&output.await.unwrap());
    serving.abort();
    assert!(
        text.contains("in the location write region=eu-west-1"),
        "{text}"
    );
    assert!(!text.contains("s3.region"), "{text}");
}
