//! The program as its users meet it: recipes, files and exit codes, each test in a folder and a cache of its own.

mod support;

mod bad_input;
mod cache_damage;
mod custom_operators;
mod failures;
mod foresight;
mod inputs;
mod interruption;
mod keys;
mod labs;
mod mistakes;
mod onnx;
mod optimize;
mod out_folder;
mod problems;
mod provenance;
mod quickstart;
mod read_and_write;
mod remote_cache;
mod samples;
mod search;
mod shards;
mod shipped;
mod sources;
mod tasks;
mod verbs;
