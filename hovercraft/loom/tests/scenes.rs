//! Every scene, in every order of steps; `LOOM_SCENE=name` takes one.

use hovercraft_loom::scenes::SCENES;

#[test]
fn every_scene_holds_in_every_order() {
    let only = std::env::var("LOOM_SCENE").ok();
    let chosen = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let mut played = 0;
    for scene in SCENES.iter().filter(|scene| chosen(scene.name)) {
        println!("{}: {} orders", scene.name, (scene.play)());
        played += 1;
    }
    assert!(played > 0, "no such scene");
}
