//! The shell commands of README.md, of docs/ and of what the gateway shows, run as they are written against a gateway as
//! each page assumes it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::database::TestDatabase;
use crate::events::{lines, sync_event, sync_events};
use crate::gateway::{Gateway, HOOK_SECRET};
use crate::process::GatewayProcess;
use crate::traffic::Traffic;

/// The blocks of commands that are not run: page, first line, and why. In the pages they are ```` ```console ````.
const NOT_RUN: [(&str, &str, &str); 16] = [
    (
        "README.md",
        "make run     # the gateway on 127.0.0.1:8080, and a stand-in Okta org that sends events to it; Ctrl-C stops both",
        "it builds releases and runs every test, and this test is one of them",
    ),
    (
        "docs/import.md",
        r#"curl -s -H "Authorization: SSWS $OKTA_TOKEN" -D headers.txt -o page-1.json \"#,
        "it asks Okta",
    ),
    (
        "docs/issuers.md",
        r#"curl -s https://sluice.example.com/graphql -H "authorization: Bearer $TOKEN" -H 'content-type: application/json' \"#,
        "it asks with a token of Okta",
    ),
    ("docs/issuers.md", "$ sluice access explain < token.txt", "it explains a token of Okta, and has the output"),
    (
        "docs/issuers.md",
        r#"echo '{"groups": ["sluice-auditors"]}' | sluice access explain"#,
        "it needs the settings above, with an issuer of Okta",
    ),
    (
        "docs/issuers.md",
        r#"curl -s https://acme.okta.com/oauth2/default/v1/token -u "$CLIENT_ID:$CLIENT_SECRET" \"#,
        "it asks Okta",
    ),
    ("docs/issuers.md", "okta-sim --issuer 127.0.0.1:8082 \\", "issuer_trial.rs runs it"),
    (
        "docs/issuers.md",
        "TOKEN=$(curl -s http://127.0.0.1:8082/oauth2/default/v1/token -u 0oaservice:trial-secret \\",
        "issuer_trial.rs runs it",
    ),
    ("docs/install.md", "git clone REPOSITORY sluice && cd sluice     # the address of this repository", INSTALLS),
    ("docs/install.md", "sudo useradd --system --home-dir /var/lib/sluice --shell /usr/sbin/nologin sluice", INSTALLS),
    ("docs/install.md", "curl http://127.0.0.1:8080/readyz", INSTALLS),
    (
        "docs/install.md",
        r"sudo systemd-run --pipe --wait --uid=sluice -p EnvironmentFile=/etc/sluice/sluice.env \",
        INSTALLS,
    ),
    ("docs/install.md", "docker compose up --build --detach", INSTALLS),
    (
        "docs/okta.md",
        "okta-sim --hook http://127.0.0.1:8080/okta/acme/hooks --hook-secret \"$ACME_HOOK_SECRET\" \\",
        "it does not end",
    ),
    (
        "docs/operations.md",
        r#"psql "$DATABASE_URL" -At -c "SELECT r.raw FROM sync_event_raw r JOIN arrival a USING (position) WHERE a.org = 'acme' ORDER BY r.position" > acme.ndjson"#,
        "it reads a table that only logs made before 0.1.0 have",
    ),
    ("docs/proxies.md", "curl https://sluice.example.com/readyz", "there is no such host"),
];

const INSTALLS: &str = "it installs programs and services on the machine";

/// Time limit for a block.
const PATIENCE: Duration = Duration::from_mins(1);

const TOKEN: &str = "the reader's token";

/// Variables that a page may use where its text names them.
const VARIABLES: [(&str, &str); 3] = [("GATEWAY", GATEWAY), ("TOKEN", TOKEN), ("HOOK_SECRET", HOOK_SECRET)];

/// The address at which pages expect a gateway. curl is configured to connect to the test's one instead.
const GATEWAY: &str = "http://127.0.0.1:8080";

/// Other names of the language `sh`, under which a block would not be run.
const OTHER_SHELLS: [&str; 6] = ["bash", "shell", "zsh", "ksh", "shell-session", "sh-session"];

/// Words with which a line of commands begins.
const COMMANDS: [&str; 13] =
    ["$", "cargo", "curl", "docker", "git", "kubectl", "make", "npm", "npx", "psql", "sluice", "sudo", "systemctl"];

/// A fenced block of a page.
#[derive(Debug)]
struct Block {
    /// The number of its first line of text.
    line: usize,
    /// The language, and what else stands behind the opening fence.
    info: String,
    text: String,
}

/// A page, by its path from the repository's root.
pub(crate) struct Page {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Page {
    /// Reads README.md and each page of docs/.
    pub(crate) fn read_all() -> Vec<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let docs = fs::read_dir(root.join("docs")).unwrap();
        let docs = docs.map(|entry| format!("docs/{}", entry.unwrap().file_name().to_str().unwrap()));
        let is_page = |path: &String| Path::new(path).extension().is_some_and(|extension| extension == "md");
        let mut paths: Vec<_> = docs.filter(is_page).collect();
        paths.push("README.md".to_owned());
        paths.sort();
        let read = |path: String| Self { text: fs::read_to_string(root.join(&path)).unwrap(), path };
        paths.into_iter().map(read).collect()
    }

    fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut lines = self.text.lines().enumerate();
        while let Some((index, opening)) = lines.next() {
            let Some(info) = opening.trim_start().strip_prefix("```") else { continue };
            // A block in a list is indented.
            let indent = opening.len() - opening.trim_start().len();
            let within = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
            let text: Vec<_> = within.map(|line| line.get(indent..).unwrap_or_default()).collect();
            blocks.push(Block { line: index + 2, info: info.trim().to_owned(), text: text.join("\n") });
        }
        blocks
    }

    /// Blocks that may hold commands and are neither run nor listed as not run.
    fn faults(&self, not_run: &[(&str, &str, &str)]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut unseen: BTreeSet<_> = not_run.iter().filter(|(page, ..)| *page == self.path).collect();
        for block in self.blocks() {
            let mut fault = |rule: &str| faults.push(format!("{}:{}: {rule}", self.path, block.line));
            let language = block.info.split(' ').next().unwrap_or_default();
            let first = block.text.lines().next().unwrap_or_default();
            match language {
                "" => fault("a block needs its language: sh for commands, text for what is none"),
                "sh" if block.info != "sh" => fault("nothing else stands behind sh: every such block is run"),
                "console" => {
                    let listed = not_run.iter().find(|(page, line, _)| *page == self.path && *line == first);
                    if !listed.is_some_and(|entry| unseen.remove(entry)) {
                        fault("commands that are not run must be in NOT_RUN, with the reason");
                    }
                }
                "text" => {
                    let begins = |line: &str| COMMANDS.contains(&line.split_whitespace().next().unwrap_or_default());
                    if block.text.lines().any(begins) {
                        fault("commands are sh, or console where they cannot be run");
                    }
                }
                other if OTHER_SHELLS.contains(&other) => fault("commands are sh, so that they are run"),
                _ => {}
            }
        }
        faults.extend(unseen.iter().map(|(page, line, _)| format!("{page}: NOT_RUN names a block without: {line}")));
        faults
    }
}

/// A gateway with events in its log, and a directory with the files that pages name.
struct Place {
    gateway: GatewayProcess,
    directory: PathBuf,
    traffic: Arc<Traffic>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Place {
    /// Starts a gateway for a page. Only a page that sets a token has readers.
    async fn prepare(page: &Page) -> Self {
        let variables = VARIABLES.into_iter().filter(|(name, _)| page.text.contains(&format!("`{name}`"))).collect();
        let database = TestDatabase::new().await;
        let has_readers = page.text.contains("`TOKEN`");
        let readers = if has_readers { "[[readers]]\nname = \"page\"\ntoken = \"env:TOKEN\"\n" } else { "" };
        let mut gateway = GatewayProcess::prepare("data", readers);
        gateway.variables = vec![("DATABASE_URL", database.url), ("TOKEN", TOKEN.to_owned())];
        gateway.start_again().await;
        let traffic = Traffic::new();
        // As many as the positions that pages resume from.
        traffic.deliver(gateway.address, &sync_events("one", 60)).await.unwrap();
        let directory = gateway.beside("here");
        fs::create_dir_all(directory.join("bin")).unwrap();
        let place = Self { gateway, directory, traffic, variables };
        place.write_files();
        place
    }

    fn write_files(&self) {
        fs::copy(self.gateway.beside("sluice.toml"), self.directory.join("sluice.toml")).unwrap();
        symlink(env!("CARGO_BIN_EXE_sluice"), self.directory.join("bin/sluice")).unwrap();
        for name in ["2025-01.ndjson.gz", "2025-02.ndjson.gz", "old.gz"] {
            let file = fs::File::create(self.directory.join(name)).unwrap();
            let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            gzip.write_all(lines(&sync_events("one", 3)).as_bytes()).unwrap();
            gzip.finish().unwrap();
        }
        fs::write(self.directory.join("page.json"), Value::from(sync_events("one", 3)).to_string()).unwrap();
        let wrapped = json!({"payload": sync_event("one"), "log": sync_event("two").to_string()});
        fs::write(self.directory.join("wrapped.json"), wrapped.to_string()).unwrap();
        let port = self.gateway.address.port();
        let names = ["127.0.0.1", "localhost"].map(|name| format!("connect-to = \"{name}:8080:127.0.0.1:{port}\"\n"));
        // The option makes curl fail when the gateway refuses a request.
        let curl = format!("{}noproxy = \"*\"\nfail-with-body\n", names.concat());
        fs::write(self.directory.join(".curlrc"), curl).unwrap();
    }

    /// Starts a shell with a block's commands.
    fn spawn(&self, block: &Block) -> Child {
        let programs = self.directory.join("bin");
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-eu", "-o", "pipefail", "-c", &block.text]).current_dir(&self.directory).env_clear();
        shell.env("PATH", path).env("HOME", &self.directory).env("CURL_HOME", &self.directory);
        // Commands take the same variables as `serve`.
        shell.envs(self.gateway.variables.iter().filter(|(name, _)| *name == "DATABASE_URL").cloned());
        shell.env("SLUICE_DATA_DIR", &self.gateway.data_dir).env("TEST_HOOK_SECRET", HOOK_SECRET);
        shell.envs(self.variables.iter().copied());
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        shell.spawn().unwrap()
    }

    /// Runs commands that end; what the gateway answers must be no error.
    async fn run(&self, block: &Block) -> Result<(), String> {
        let output = timeout(PATIENCE, self.spawn(block).wait_with_output()).await;
        let output = output.map_err(|_| "it does not end".to_owned())?.unwrap();
        let [said, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let answers: Vec<Value> = serde_json::Deserializer::from_str(&said).into_iter().flatten().collect();
        if output.status.success() && !answers.iter().any(is_error) {
            return Ok(());
        }
        Err(format!("{}\n{said}{errors}", output.status))
    }

    /// Runs a subscription until an event has come, and then ends it. SIGINT would not: a shell has programs that it starts
    /// in the background ignore it, and so do theirs.
    async fn run_stream(&self, block: &Block) -> Result<(), String> {
        let mut shell = self.spawn(block);
        let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
        let mut said = String::new();
        let mut is_delivered = false;
        let told = timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.unwrap() {
                said.push_str(&line);
                said.push('\n');
                let Some(data) = line.strip_prefix("data: ") else { continue };
                let answer: Value = serde_json::from_str(data).ok()?;
                if answer["data"]["syncEvents"]["events"] != json!([]) {
                    return Some(answer);
                }
                // The first payload tells that the subscription has started.
                if !is_delivered {
                    is_delivered = true;
                    self.traffic.deliver(self.gateway.address, &[sync_event("one")]).await.unwrap();
                }
            }
            None
        });
        let answer: Option<Value> = told.await.unwrap_or_default();
        // Fails where it has ended by itself.
        let process = shell.id().and_then(|process| Pid::from_raw(process.try_into().unwrap()));
        _ = process.map(|process| kill_process_group(process, Signal::TERM));
        let mut errors = String::new();
        shell.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
        timeout(PATIENCE, shell.wait()).await.map_err(|_| "SIGTERM does not end it".to_owned())?.unwrap();
        match answer {
            Some(answer) if !is_error(&answer) => Ok(()),
            _ => Err(format!("no event came\n{said}{errors}")),
        }
    }
}

/// Returns true for an answer of the gateway that has an error or a rejection.
fn is_error(answer: &Value) -> bool {
    answer.get("errors").is_some() || answer.get("error").is_some() || answer["rejected"].as_u64().unwrap_or(0) > 0
}

#[tokio::test]
async fn every_command_of_the_documents_works_as_it_is_written() {
    let mut faults = Vec::new();
    let mut number = 0;
    for page in Page::read_all() {
        let commands: Vec<_> = page.blocks().into_iter().filter(|block| block.info == "sh").collect();
        if commands.is_empty() {
            continue;
        }
        let place = Place::prepare(&page).await;
        for block in commands {
            let is_stream = block.text.contains("text/event-stream");
            let run = if is_stream { place.run_stream(&block).await } else { place.run(&block).await };
            if let Err(fault) = run {
                faults.push(format!("{}:{}:\n{}\n{fault}", page.path, block.line, block.text));
            }
            number += 1;
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    assert!(number > 5, "only {number} blocks were found");
}

/// Variables of the queries that pages show.
fn query_variables() -> Value {
    json!({"from": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"})
}

#[tokio::test]
async fn every_query_of_the_documents_is_answered() {
    let gateway = Gateway::start().await;
    gateway.deliver(&sync_events("one", 3)).await;
    let mut number = 0;
    for page in Page::read_all() {
        let is_query = |block: &Block| block.info == "graphql" && block.text.starts_with(['{', 'q']);
        for block in page.blocks().into_iter().filter(is_query) {
            let answer = gateway.ask(&block.text, query_variables()).await;
            assert!(answer["errors"].is_null(), "{}:{}: {answer}", page.path, block.line);
            number += 1;
        }
    }
    assert!(number > 10, "only {number} queries were found");
}

/// The text between two others.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).map(|(between, _)| between).unwrap()
}

#[tokio::test]
async fn the_commands_that_the_page_and_make_run_show_work() {
    let page = between(include_str!("../../src/serve/page.html"), "<pre>", "</pre>");
    let page = page.replace("<span class=\"host\"></span>", "127.0.0.1:8080");
    let page = page.replace("<span id=\"authorization\"></span>", "");
    let run = between(include_str!("../../scripts/run"), "A query to try:\n", "Ctrl-C stops everything.");
    // As the shell of scripts/run prints it.
    let run = run.replace("\\\\", "\\").replace("$listen", "127.0.0.1:8080");
    let place = Place::prepare(&Page { path: String::new(), text: String::new() }).await;
    for text in [page, run] {
        assert!(text.contains("curl ") && text.contains("127.0.0.1:8080"), "{text}");
        let block = Block { line: 1, info: "sh".to_owned(), text };
        place.run(&block).await.unwrap();
    }
}

#[test]
fn every_block_is_run_or_listed_with_a_reason() {
    let faults: Vec<_> = Page::read_all().iter().flat_map(|page| page.faults(&NOT_RUN)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn blocks_that_would_not_be_run_are_found() {
    let faults = |block: &str| {
        let page = Page { path: "docs/page.md".to_owned(), text: format!("# Page\n\n{block}\n") };
        page.faults(&[("docs/page.md", "docker compose up", "there is no Docker")])
    };
    let listed = "```console\ndocker compose up\n```\n";
    assert!(faults(listed).is_empty(), "{:?}", faults(listed));
    for (block, fault) in [
        ("```\ncurl localhost\n```", "needs its language"),
        ("```bash\ncurl localhost\n```", "commands are sh"),
        ("```sh no-run\ncurl localhost\n```", "nothing else"),
        ("```console\ncurl localhost\n```", "NOT_RUN"),
        ("1. A list\n   ```text\n   curl localhost\n   ```", "console where they cannot"),
    ] {
        let found = faults(&format!("{block}\n{listed}"));
        assert!(matches!(&found[..], [one] if one.contains(fault)), "{block}: {found:?}");
    }
    assert!(faults("```text\na ─▶ b\n```")[0].contains("names a block without"));
}
