//! The `wirebook` command: hands its arguments to [`wirebook::cli`] and exits with what it returns.
fn main() -> std::process::ExitCode {
    wirebook::cli::main()
}
