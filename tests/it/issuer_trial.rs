//! The section of docs/issuers.md about trying issuers without Okta, run as it is written.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use clap::Parser;
use okta_sim::IssuerOptions;
use serde_json::Value;
use tokio::process::Command;

use crate::process::{GatewayProcess, free_address};

/// The command line of okta-sim, as far as the section uses it.
#[derive(Parser)]
struct Simulator {
    #[command(flatten)]
    issuer: IssuerOptions,
}

/// Returns the section's blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/issuers.md")).unwrap();
    let (_, rest) = page.split_once("\n## Trying it without Okta\n").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let opening = format!("```{language}\n");
    let blocks = section.split(&opening).skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

async fn run(gateway: &GatewayProcess, commands: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_sluice")).parent().unwrap().display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap());
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-o", "pipefail", "-c", commands]).current_dir(gateway.beside("")).env_clear();
    shell
        .env("PATH", path)
        .env("SLUICE_DATA_DIR", &gateway.data_dir)
        .env("TEST_HOOK_SECRET", crate::gateway::HOOK_SECRET);
    let output = shell.stdin(Stdio::null()).output().await.unwrap();
    let [said, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{commands}\n{said}{errors}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn the_section_works_as_it_is_written() {
    let (settings, commands) = (blocks("toml"), blocks("console"));
    let ([settings], [simulator, asking]) = (&settings[..], &commands[..]) else {
        panic!("{settings:?}\n{commands:?}")
    };
    let issuer = free_address().to_string();
    let at = |text: &str| text.replace("127.0.0.1:8082", &issuer);
    // The claims are the only quoted word.
    let at_issuer = at(simulator);
    let (before, rest) = at_issuer.split_once('\'').unwrap();
    let (claims, after) = rest.split_once('\'').unwrap();
    let words = before.split_whitespace().chain([claims]).chain(after.split_whitespace()).filter(|word| *word != "\\");
    let Simulator { issuer: options } = Simulator::parse_from(words);
    let _server = options.start().await.unwrap().expect("the section starts an authorization server");
    let gateway = GatewayProcess::start_with(&at(settings)).await;
    let said = run(&gateway, &at(asking).replace("127.0.0.1:8080", &gateway.address.to_string())).await;
    for told in
        ["settings   sluice.toml\n", "verified   accepted until 2", "sees     acme: instances 0oa1gjh63g214q0Hq0g4\n"]
    {
        assert!(said.contains(told), "{told:?}\n{said}");
    }
    let answer: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let viewer = &answer["data"]["viewer"];
    assert_eq!(viewer["name"], "0oaservice", "{answer}");
    assert_eq!(viewer["sees"][0]["applicationInstances"][0], "0oa1gjh63g214q0Hq0g4", "{answer}");
    // A wrong secret gets no token.
    let wrong = asking.lines().next().unwrap().replace("trial-secret", "wrong");
    assert!(wrong.contains("wrong"), "{wrong}");
    let refused = at(&wrong).replace("TOKEN=$(", "").trim_end_matches('\\').to_owned();
    let refused = run(&gateway, &format!("{refused} -d grant_type=client_credentials -d scope=sluice.events")).await;
    assert!(refused.contains("invalid_client"), "{refused}");
}
