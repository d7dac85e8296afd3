use super::Report;
#[derive(Debug, Clone, Copy)]
pub struct Style {
    pub color: bool,
    pub width: usize,
}
pub fn summary(_report: &Report, _style: Style) -> String {
    String::new()
}
