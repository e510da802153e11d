//! nginx and Caddy in front of a gateway, by the recipes of `docs/proxies.md`.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::process::free_address;

/// The longest that a proxy may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// The name of the gateway in the recipes.
pub(crate) const NAME: &str = "sluice.example.com";

/// The address of the gateway in the recipes.
const GATEWAY: &str = "127.0.0.1:8080";

/// A proxy of which there is a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Nginx,
    Caddy,
}

/// A running proxy. Its processes end when the value is dropped.
pub(crate) struct ReverseProxy {
    pub(crate) address: SocketAddr,
    _child: Child,
    _directory: TempDir,
}

/// Returns a recipe: the block of code in this language.
pub(crate) fn recipe(program: Program) -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxies.md")).unwrap();
    let language = if program == Program::Nginx { "nginx" } else { "caddyfile" };
    let (_, block) = page.split_once(&format!("```{language}\n")).expect("the page has the recipe");
    block.split_once("```").unwrap().0.to_owned()
}

/// Puts a text in place of another, which must be there.
pub(crate) fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the recipe has no {from:?}:\n{text}");
    text.replace(from, to)
}

impl ReverseProxy {
    /// Starts a proxy by a recipe in front of a gateway, without certificates.
    pub(crate) fn start(program: Program, recipe: &str, gateway: SocketAddr) -> Self {
        let address = free_address();
        let directory = tempfile::Builder::new().prefix("sluice-proxy-").tempdir().unwrap();
        let recipe = replaced(recipe, GATEWAY, &gateway.to_string());
        let file = directory.path().join("proxy.conf");
        let child = match program {
            Program::Nginx => {
                fs::write(&file, nginx(&recipe, address, directory.path())).unwrap();
                let arguments =
                    ["-e", "stderr", "-c", file.to_str().unwrap(), "-p", directory.path().to_str().unwrap()];
                spawn("NGINX", "nginx", &arguments, directory.path())
            }
            Program::Caddy => {
                fs::write(&file, caddy(&recipe, address)).unwrap();
                let arguments = ["run", "--adapter", "caddyfile", "--config", file.to_str().unwrap()];
                spawn("CADDY", "caddy", &arguments, directory.path())
            }
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let said = fs::read_to_string(directory.path().join("output")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{program:?} does not start at {address}:\n{said}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { address, _child: child, _directory: directory }
    }
}

/// A whole configuration of nginx with the recipe in it.
fn nginx(recipe: &str, address: SocketAddr, directory: &Path) -> String {
    let recipe = replaced(recipe, "listen 443 ssl;", &format!("listen {address};"));
    let without_certificates: String =
        recipe.lines().filter(|line| !line.trim_start().starts_with("ssl_")).flat_map(|line| [line, "\n"]).collect();
    let places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", directory.display()));
    format!(
        "daemon off;\nmaster_process off;\npid {}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{}{without_certificates}}}\n",
        directory.display(),
        places.concat(),
    )
}

/// A whole configuration of Caddy with the recipe in it.
fn caddy(recipe: &str, address: SocketAddr) -> String {
    let site = format!("http://{NAME}:{} {{\n\tbind {}", address.port(), address.ip());
    let recipe = replaced(recipe, &format!("{NAME} {{"), &site);
    format!("{{\n\tadmin off\n\tauto_https off\n}}\n{recipe}")
}

/// Starts a program: that which the environment names, or the one in `PATH` or beside it, in the order of `scripts/proxies`.
fn spawn(variable: &str, name: &str, arguments: &[&str], directory: &Path) -> Child {
    let given = std::env::var(variable).ok();
    let beside = format!("/usr/sbin/{name}");
    let child = given.as_deref().into_iter().chain([name, &beside]).find_map(|program| {
        let output = fs::File::create(directory.join("output")).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(directory).kill_on_drop(true).env("HOME", directory);
        command.env("XDG_DATA_HOME", directory).env("XDG_CONFIG_HOME", directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        command.spawn().ok()
    });
    child.unwrap_or_else(|| panic!("{name} is missing: scripts/proxies installs it, or says how"))
}
