//! Trees over folders and archives: what is found, what is refused.

mod common;

use std::fs;

use common::{gzip, idx, tar, zip};
use data::{Limits, Tree};

fn text(name: &str) -> (&str, Vec<u8>) {
    (name, name.as_bytes().to_vec())
}

fn names(tree: &Tree) -> Vec<&str> {
    tree.names().collect()
}

fn refused(archive: Vec<u8>) -> String {
    Tree::from_bytes("a.bin", archive)
        .expect_err("should be refused")
        .to_string()
}

#[test]
fn archives_are_recognized_by_content_and_read_alike() {
    let files = [text("b/2.txt"), text("a.txt"), text("b/1.txt")];
    for archive in [tar(&files), gzip(&tar(&files)), zip(&files)] {
        let tree = Tree::from_bytes("no-extension", archive).expect("an archive");
        assert_eq!(names(&tree), ["a.txt", "b/1.txt", "b/2.txt"]);
        for (name, bytes) in &files {
            assert_eq!(*tree.read(name).expect("there"), **bytes);
        }
    }
}

#[test]
fn archives_on_disk_are_read_where_they_lie() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, archive) in [
        ("x.tar", tar(&[text("a")])),
        ("y.zip", zip(&[text("b")])),
        ("z.gz", gzip(b"z")),
    ] {
        fs::write(folder.path().join(name), archive).expect("written");
    }
    let paths = ["x.tar", "y.zip", "z.gz"].map(|name| folder.path().join(name));
    let tree = Tree::open(&paths).expect("three archives");
    assert_eq!(names(&tree), ["a", "b", "z"]);
    assert_eq!(*tree.read("b").expect("there"), *b"b");
    assert_eq!(*tree.read("z").expect("there"), *b"z");
}

#[test]
fn a_folder_of_archives_looks_like_the_folder_they_unpack_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, bytes: Vec<u8>| fs::write(folder.path().join(name), bytes).expect("written");
    fs::create_dir(folder.path().join("sub")).expect("made");
    put("train.tar.gz", gzip(&tar(&[text("train/dog/1.txt")])));
    put("sub/labels-idx1-ubyte.gz", gzip(&idx(&[2], &[0, 1])));
    put("sub/plain.txt", b"plain".to_vec());
    let tree = Tree::open(&[folder.path().to_owned()]).expect("a folder");
    assert_eq!(
        names(&tree),
        ["sub/labels-idx1-ubyte", "sub/plain.txt", "train/dog/1.txt"]
    );
}

#[test]
fn archives_are_opened_one_level_deep() {
    let innermost = zip(&[text("c")]);
    let inner = tar(&[("innermost.zip", innermost)]);
    let tree = Tree::from_bytes("outer.zip", zip(&[("d/inner.tar", inner)])).expect("an archive");
    assert_eq!(names(&tree), ["d/innermost.zip"]);
}

#[test]
fn names_that_leave_the_archive_are_refused() {
    insta::assert_snapshot!(refused(tar(&[text("ok"), text("../evil")])), @"a.bin: entry `../evil` leaves its folder by `..`; refusing the whole archive");
    insta::assert_snapshot!(refused(tar(&[text("/etc/evil")])), @"a.bin: entry `/etc/evil` is an absolute path; refusing the whole archive");
    insta::assert_snapshot!(refused(zip(&[text("a/../../evil")])), @"a.bin: entry `a/../../evil` leaves its folder by `..`; refusing the whole archive");
    insta::assert_snapshot!(refused(zip(&[text("C:\\evil")])), @r#"a.bin: entry `C:\evil` names a drive; refusing the whole archive"#);
}

#[test]
fn links_in_archives_are_refused() {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder
        .append_link(&mut header, "link", "/etc/passwd")
        .expect("memory takes it");
    insta::assert_snapshot!(refused(builder.into_inner().expect("memory takes it")), @"a.bin: entry `link` is a link; refusing the whole archive");
}

#[cfg(unix)]
#[test]
fn links_that_leave_a_folder_are_refused() {
    let outside = tempfile::NamedTempFile::new().expect("a file");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("a"), b"a").expect("written");
    std::os::unix::fs::symlink(folder.path().join("a"), folder.path().join("b")).expect("linked");
    let tree = Tree::open(&[folder.path().to_owned()]).expect("a link inside");
    assert_eq!(*tree.read("b").expect("there"), *b"a");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("c")).expect("linked");
    let error = Tree::open(&[folder.path().to_owned()])
        .expect_err("a link outside")
        .to_string();
    assert!(error.contains("entry `c` is a link that leaves the folder"), "{error}");
}

#[test]
fn the_same_name_in_two_places_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = ["one.tar", "two.tar"].map(|name| folder.path().join(name));
    for path in &paths {
        fs::write(path, tar(&[text("a/1.txt")])).expect("written");
    }
    let error = Tree::open(&paths).expect_err("twice").to_string();
    let error = error.replace(&folder.path().display().to_string(), "DIR");
    insta::assert_snapshot!(error, @"`a/1.txt` is in both DIR/one.tar and DIR/two.tar; give only one of them");
}

#[test]
fn truncated_archives_are_refused() {
    let files = [("a.txt", vec![7; 2000])];
    let mut cut = tar(&files);
    cut.truncate(1500);
    insta::assert_snapshot!(refused(cut), @"a.bin: 2000 bytes of `a.txt` end behind the 1500 bytes of the archive: truncated");
    let mut cut = zip(&files);
    cut.truncate(cut.len() - 30);
    assert!(refused(cut).starts_with("a.bin: damaged or truncated archive"));
    let mut cut = gzip(&tar(&files));
    cut.truncate(cut.len() - 10);
    insta::assert_snapshot!(refused(cut), @"a.bin: compressed data end early: the file is truncated");
}

#[test]
fn damaged_zip_entries_are_noticed() {
    let mut archive = zip(&[("a.txt", b"some text that is stored".to_vec())]);
    let middle = archive
        .windows(4)
        .position(|window| window == b"PK\x01\x02")
        .expect("a directory")
        - 12;
    archive[middle] ^= 0x55;
    let tree = Tree::from_bytes("a.zip", archive).expect("the directory is whole");
    assert!(tree.read("a.txt").is_err());
}

#[test]
fn bombs_are_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.tar.gz");
    fs::write(&path, gzip(&tar(&[("zeros", vec![0; 1 << 20])]))).expect("written");
    let open = |limits| Tree::open_within(std::slice::from_ref(&path), limits);
    let small = Limits {
        unpacked_bytes: 1 << 16,
        ..Limits::default()
    };
    insta::assert_snapshot!(open(small).expect_err("too large").to_string(), @"bomb.tar.gz: unpacked size in bytes exceeds the limit of 65536");
    let small = Limits {
        entry_bytes: 1 << 16,
        ..Limits::default()
    };
    let tree = open(small).expect("listed");
    insta::assert_snapshot!(tree.read("zeros").expect_err("too large").to_string(), @"zeros: unpacked size in bytes exceeds the limit of 65536");
    fs::write(&path, tar(&[text("a"), text("b"), text("c")])).expect("written");
    let few = Limits {
        entries: 2,
        ..Limits::default()
    };
    assert!(
        open(few)
            .expect_err("too many")
            .to_string()
            .contains("number of entries exceeds the limit of 2")
    );
}

/// What does not fit into the memory set aside for it is unpacked to a file that nobody sees.
#[test]
fn large_archives_are_read_like_small_ones() {
    let zeros = vec![0; 65 << 20];
    let files = [("a.bin", zeros), ("z/b.txt", b"behind".to_vec())];
    let tree = Tree::from_bytes("a.tar.gz", gzip(&tar(&files))).expect("an archive");
    assert_eq!(*tree.read("z/b.txt").expect("a file"), *b"behind");
    assert_eq!(tree.read("a.bin").expect("a file").len(), 65 << 20);
    let nested = zip(&[("inner.tar", tar(&files))]);
    let tree = Tree::from_bytes("outer.zip", nested).expect("an archive");
    assert_eq!(*tree.read("z/b.txt").expect("a file"), *b"behind");
}

#[test]
fn a_name_that_is_not_there_gets_a_suggestion() {
    let tree = Tree::from_bytes("a.tar", tar(&[text("batches.meta.txt")])).expect("an archive");
    insta::assert_snapshot!(tree.read("batches_meta.txt").expect_err("not there").to_string(), @"`batches_meta.txt`: no such file in the data; did you mean `batches.meta.txt`?");
}

#[test]
fn an_archive_unpacks_to_so_many_times_its_size_and_no_more() {
    // Zeros shrink to a thousandth: 128 MiB in 128 KiB.
    let bomb = gzip(&tar(&[("zeros", vec![0; 128 << 20])]));
    assert!(bomb.len() < 1 << 20, "{}", bomb.len());
    let limited = |why: &str| why.contains("unpacked size in bytes exceeds the limit of");
    let why = refused(bomb.clone());
    assert!(limited(&why), "{why}");
    // Nor does it one archive further in.
    let why = refused(zip(&[("a.tar.gz", bomb)]));
    assert!(limited(&why), "{why}");
    // A file in it that is not an archive is refused by whoever reads it.
    let tree = Tree::from_bytes("a.zip", zip(&[("zeros", vec![0; 128 << 20])])).expect("its list is short");
    tree.read("zeros").expect_err("too large for its size");
    let few = gzip(&tar(&[("zeros", vec![0; 16 << 20])]));
    assert_eq!(
        Tree::from_bytes("a", few)
            .expect("small")
            .read("zeros")
            .expect("there")
            .len(),
        16 << 20
    );
}
