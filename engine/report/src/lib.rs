//! Records to markdown, plots, CSV and JUnit.
