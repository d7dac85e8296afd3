//! Rule 4: of the visible versions with one id, the last by event time is the row.

use super::labels_at;
use crate::support::{shown, table};

const CONFIG: &str =
    "kind = \"changelog\"\ntime = \"ts\"\navailable_at = \"seen\"\nid = [\"user\"]\ndeleted = \"op = 'D'\"";
const TIER: &str = "SELECT \"user\", tier FROM users";

#[test]
fn last_visible_version_is_the_row_until_a_delete_and_again_after_it() {
    let users = table(
        "user:str op:str ts:us@UTC         seen:us@UTC       tier:str
         a        I      2025-03-10T10:00  2025-03-10T10:05  free
         a        U      2025-03-10T11:00  2025-03-10T11:05  paid
         a        D      2025-03-10T12:00  2025-03-10T12:05  -
         a        I      2025-03-10T13:00  2025-03-10T13:05  back",
    );
    let times = [
        "2025-03-10T10:04",
        "2025-03-10T10:05",
        "2025-03-10T11:04",
        "2025-03-10T11:05",
        "2025-03-10T12:04",
        "2025-03-10T12:05",
        "2025-03-10T13:05",
    ];
    let project = labels_at(&times).source("users", CONFIG, &users).view("v", TIER);
    assert_eq!(shown(&project.dataset(), "tier"), ["NULL", "free", "free", "paid", "paid", "NULL", "back"]);
}

#[test]
fn late_older_version_never_overrides_a_newer_one() {
    let users = table(
        "user:str op:str ts:us@UTC         seen:us@UTC       tier:str
         a        I      2025-03-10T10:00  2025-03-10T10:00  first
         a        U      2025-03-10T12:00  2025-03-10T12:00  third
         a        U      2025-03-10T11:00  2025-03-10T14:00  second",
    );
    let project = labels_at(&["2025-03-10T11:30", "2025-03-10T13:00", "2025-03-10T15:00"])
        .source("users", CONFIG, &users)
        .view("v", TIER);
    assert_eq!(shown(&project.dataset(), "tier"), ["first", "third", "third"]);
}

#[test]
fn late_delete_of_an_older_version_leaves_the_newer_one() {
    let users = table(
        "user:str op:str ts:us@UTC         seen:us@UTC       tier:str
         a        I      2025-03-10T12:00  2025-03-10T12:00  new
         a        D      2025-03-10T11:00  2025-03-10T14:00  -",
    );
    let project = labels_at(&["2025-03-10T15:00"]).source("users", CONFIG, &users).view("v", TIER);
    assert_eq!(shown(&project.dataset(), "tier"), ["new"]);
}

#[test]
fn of_versions_of_one_time_the_last_to_arrive_is_the_row_and_then_the_one_with_the_larger_values() {
    let users = table(
        "user:str op:str ts:us@UTC         seen:us@UTC       tier:str
         a        U      2025-03-10T10:00  2025-03-10T10:10  early
         a        U      2025-03-10T10:00  2025-03-10T10:20  x
         a        U      2025-03-10T10:00  2025-03-10T10:20  y",
    );
    let project = labels_at(&["2025-03-10T10:15", "2025-03-10T10:30"]).source("users", CONFIG, &users).view("v", TIER);
    assert_eq!(shown(&project.dataset(), "tier"), ["early", "y"]);
}

#[test]
fn deleted_that_is_neither_true_nor_false_deletes_nothing() {
    let users = table("user:str op:str ts:us@UTC seen:us@UTC tier:str\n a - 2025-03-10T10:00 2025-03-10T10:00 kept");
    let project = labels_at(&["2025-03-10T11:00"]).source("users", CONFIG, &users).view("v", TIER);
    assert_eq!(shown(&project.dataset(), "tier"), ["kept"]);
}

#[test]
fn changelog_with_a_null_id_is_refused_with_the_count() {
    let users = table(
        "user:str op:str ts:us@UTC         seen:us@UTC       tier:str
         -        I      2025-03-10T10:00  2025-03-10T10:00  x
         -        I      2025-03-10T10:00  2025-03-10T10:00  y
         a        I      2025-03-10T10:00  2025-03-10T10:00  z",
    );
    let project = labels_at(&["2025-03-10T11:00"]).source("users", CONFIG, &users).view("v", TIER);
    project.backcast(&["replay"]).exits_with(2).complains_of(&["changelog `users` has 2 rows whose id is NULL"]);
    assert!(project.outputs().is_empty());
}
