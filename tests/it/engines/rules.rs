use super::operators::{chosen, project};
use crate::support::shown;

#[test]
fn scratch() {
    
    let text = std::fs::read_to_string(std::env::var("SCRATCH").unwrap()).unwrap();
    for sql in text.split(';').map(str::trim).filter(|s| !s.is_empty()) {
        let project = project().view("v", sql);
        let got = std::panic::catch_unwind(|| {
            let why = chosen(&project);
            let explained = project.backcast(&["explain", "v"]).stdout;
            let dataset = project.try_dataset();
            (why, explained, dataset.map(|d| d.schema().fields().iter().map(|f| format!("{}: {:?}", f.name(), shown(&d, f.name()))).collect::<Vec<_>>()))
        });
        println!("== {sql}");
        match got {
            Ok((why, explained, values)) => {
                println!("{why:?}");
                match values { Ok(v) => println!("{}", v[2..].join("\n")), Err(e) => println!("ERR {}", e.chars().take(600).collect::<String>()) }
                if std::env::var("EXPLAIN").is_ok() { println!("{explained}"); }
            }
            Err(e) => println!("PANIC {}", e.downcast_ref::<String>().cloned().unwrap_or_default().chars().take(900).collect::<String>()),
        }
    }
}
