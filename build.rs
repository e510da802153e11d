//! Has the gateway built again when the console was: the binary holds it (src/serve/graphiql.rs).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=console/dist");
}
