//! `cargo xtask loom`: plays every scene.
#![forbid(unsafe_code)]

fn main() {
    for scene in hovercraft_loom::scenes::SCENES {
        println!("{:12} holds in each of {} orders", scene.name, (scene.play)());
    }
}
