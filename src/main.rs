use std::process::ExitCode;

fn main() -> ExitCode {
    backcast::cli::main()
}
