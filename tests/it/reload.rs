//! SIGHUP: a gateway reads its readers and secrets again, goes on, and keeps the old ones where the new ones are wrong.

use std::fs;

use reqwest::{Client, StatusCode};
use rustix::process::Signal;

use crate::events::{delivery, sync_events};
use crate::gateway::HOOK_SECRET;
use crate::process::GatewayProcess;

/// The settings of a reader whose token stands in a file.
fn reader(name: &str) -> String {
    format!("[[readers]]\nname = \"{name}\"\ntoken = \"file:{name}\"\n")
}

fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

impl GatewayProcess {
    /// Signals the gateway to read its settings again, and waits until it says that it has.
    async fn reload(&mut self) {
        let before = self.output().matches("SIGHUP: ").count();
        self.signal(Signal::HUP);
        self.wait_until(async |process| process.output().matches("SIGHUP: ").count() > before).await;
    }

    /// The status of an answer for readers only.
    async fn status_for(&self, token: &str) -> StatusCode {
        client().get(format!("http://{}/metrics", self.address)).bearer_auth(token).send().await.unwrap().status()
    }

    /// The status of a delivery's answer.
    async fn status_of_delivery(&self, secret: &str) -> StatusCode {
        let request = client().post(format!("http://{}/okta/acme/hooks", self.address)).header("authorization", secret);
        request.body(delivery(&sync_events("one", 1)).to_string()).send().await.unwrap().status()
    }

    fn change_settings(&self, change: impl Fn(String) -> String) {
        let file = self.beside("sluice.toml");
        let settings = fs::read_to_string(&file).unwrap();
        fs::write(file, change(settings)).unwrap();
    }
}

#[tokio::test]
async fn readers_and_secrets_change_while_the_gateway_goes_on() {
    let mut gateway = GatewayProcess::prepare("data", &reader("one"));
    fs::write(gateway.beside("one"), "the first token of one\n").unwrap();
    gateway.start_again().await;
    assert_eq!(gateway.status_for("the first token of one").await, StatusCode::OK);

    fs::write(gateway.beside("one"), "the second token of one\n").unwrap();
    gateway.reload().await;
    assert_eq!(gateway.status_for("the second token of one").await, StatusCode::OK);
    assert_eq!(gateway.status_for("the first token of one").await, StatusCode::UNAUTHORIZED);
    assert!(gateway.output().contains("reader one has another token"), "{}", gateway.output());

    fs::write(gateway.beside("one"), "short").unwrap();
    gateway.reload().await;
    assert_eq!(gateway.status_for("the second token of one").await, StatusCode::OK, "the old ones stay in force");
    let told = "\"SIGHUP: the settings are wrong, and the readers and secrets stay as they were: readers[0] (one).token: \
                file:one has fewer than 16 characters";
    let hint = "A process keeps the environment with which it was started";
    assert!(gateway.output().contains(told) && !gateway.output().contains(hint), "{}", gateway.output());
    gateway.change_settings(|settings| settings.replace("file:one", "env:A_NEW_TOKEN"));
    gateway.reload().await;
    assert!(gateway.output().contains(hint), "{}", gateway.output());
    gateway.change_settings(|settings| settings.replace("env:A_NEW_TOKEN", "file:one"));

    fs::write(gateway.beside("one"), "the second token of one\n").unwrap();
    fs::write(gateway.beside("two"), "the first token of two\n").unwrap();
    fs::write(gateway.beside("hook"), "the second secret of the hook").unwrap();
    gateway.change_settings(|settings| {
        let settings = settings.replace("\"env:TEST_HOOK_SECRET\"", "\"file:hook\"");
        let settings = settings.replace("[limits]\n", "[limits]\nbatch = 3\n");
        format!("{}{settings}", reader("two"))
    });
    gateway.reload().await;
    gateway.wait_until(async |process| process.output().contains("need a restart")).await;
    assert_eq!(gateway.status_for("the first token of two").await, StatusCode::OK);
    assert_eq!(gateway.status_of_delivery("the second secret of the hook").await, StatusCode::OK);
    assert_eq!(gateway.status_of_delivery(HOOK_SECRET).await, StatusCode::UNAUTHORIZED);
    let said = gateway.output();
    assert!(said.contains("reader two was added") && said.contains("the hook secrets of org acme"), "{said}");
    assert!(said.contains("\"parts\":\"[limits]\""), "{said}");
    for secret in ["token of one", "token of two", "secret of the hook", HOOK_SECRET] {
        assert!(!said.contains(secret), "{said}");
    }
    let metrics = client().get(format!("http://{}/metrics", gateway.address)).bearer_auth("the first token of two");
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    for counted in ["sluice_settings_reloaded_total 2\n", "sluice_settings_reload_failures_total 2\n"] {
        assert!(metrics.contains(counted), "{metrics}");
    }
    gateway.signal(Signal::TERM);
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn a_gateway_closes_with_access_open_and_stays_closed_until_a_restart() {
    let mut gateway = GatewayProcess::prepare("data", "");
    gateway.start_again().await;
    assert_eq!(gateway.status_for("nobody's").await, StatusCode::OK);
    gateway.change_settings(|settings| format!("access.open = false\n{settings}"));
    gateway.reload().await;
    assert_eq!(gateway.status_for("nobody's").await, StatusCode::UNAUTHORIZED);
    assert!(gateway.output().contains("access.open is false: everybody needs an API key"), "{}", gateway.output());
    gateway.change_settings(|settings| settings.replace("access.open = false\n", ""));
    gateway.reload().await;
    gateway.wait_until(async |process| process.output().contains("or access.open, which is true now")).await;
    assert_eq!(gateway.status_for("nobody's").await, StatusCode::UNAUTHORIZED);
    gateway.kill().await;
    gateway.start_again().await;
    assert_eq!(gateway.status_for("nobody's").await, StatusCode::OK);
}
