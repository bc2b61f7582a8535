"""The game in the page equals torch, turn by turn, is fast enough to be watched, and answers every
control.
"""

import json
import math
import pathlib
import re
import time

import numpy as np
import py_mini_racer
import pytest
import torch
from torch import nn

from lib import gans, live

JS = pathlib.Path(live.__file__).parent / "js"
RING = gans.ring(8)
KINDS, HOLDS = gans.KINDS, gans.HOLDS
EVERY = [(kind, hold, "Adam") for kind in KINDS for hold in HOLDS]
EVERY += [(kind, "nothing", "plain") for kind in KINDS]


@pytest.fixture(scope="module")
def js():
    engine = py_mini_racer.MiniRacer()
    engine.eval((JS / "gan.js").read_text(encoding="utf-8"))
    engine.eval(
        """const numbers = (net) => net.layers.map((l) => [[...l.weight], [...l.bias]]);
           function played(seed, turns, centres, rules) {
             const game = newGame(seed, 32), losses = [];
             const data = {centres, spread: 0.1};
             for (let k = 0; k < turns; k++) losses.push(turn(game, data, 64, rules));
             return {losses, networks: [numbers(game.generator), numbers(game.critic)]};
           }"""
    )
    return lambda code: json.loads(engine.eval(f"JSON.stringify({code})"))


def rules(kind, hold, descent, critic=1, generator=1):
    return {
        "kind": kind,
        "hold": hold,
        "descent": descent,
        "critic": critic,
        "generator": generator,
        "rate": 3e-3,
        "betas": [0.5, 0.99],
        "penalty": 1,
    }


def in_page(js, seed, turns, *choice, **steps):
    return js(
        f"played({seed}, {turns}, {RING.double().tolist()}, {json.dumps(rules(*choice, **steps))})"
    )


# ---- the twin: the same game, written again with nn.Linear and the formulas of the losses


def twin(duel, seed):
    """Networks of nn.Linear with the starting weights of a `Duel` of that one seed, and the
    directions of its critic.
    """
    nets = []
    for crowd in (duel.generator, duel.critic):
        layers = []
        for k, (weight, bias) in enumerate(zip(crowd.weights, crowd.biases)):
            layer = nn.Linear(*weight.shape[1:], dtype=torch.double)
            layer.weight.data, layer.bias.data = weight[0].T.clone(), bias[0, 0].clone()
            layers += [nn.ReLU()] * (k > 0) + [layer]
        nets.append(nn.Sequential(*layers))
    return (*nets, [getattr(duel.critic, f"direction{k}")[0, :, 0].clone() for k in range(3)])


def says(critic, directions, hold, x):
    if hold != "spectral norm":
        return critic(x)[:, 0]
    for k, layer in enumerate(critic[::2]):
        with torch.no_grad():  # layer.weight is (out, in)
            v = layer.weight @ directions[k]
            v /= v.norm()
            directions[k] = layer.weight.T @ v
            directions[k] /= directions[k].norm()
        sigma = v @ layer.weight @ directions[k]
        x = (x.relu() if k else x) @ (layer.weight / sigma).T + layer.bias
    return x[:, 0]


log_sigmoid = nn.functional.logsigmoid
OF_CRITIC = {
    "least squares": lambda r, f: (r - 1).square().mean() + f.square().mean(),
    "hinge": lambda r, f: (1 - r).clamp(min=0).mean() + (1 + f).clamp(min=0).mean(),
    "wasserstein": lambda r, f: f.mean() - r.mean(),
}
OF_GENERATOR = {
    "non-saturating": lambda f: -log_sigmoid(f).mean(),
    "saturating": lambda f: log_sigmoid(-f).mean(),
    "least squares": lambda f: (f - 1).square().mean(),
}


def twin_played(seed, turns, kind, hold, descent, critic_steps):
    duel = gans.Duel(RING, [seed])
    G, D, directions = twin(duel, seed)
    # the noise of the game, as the face draws it, from where the starting weights end
    noise = gans.duel.Stream([seed])
    noise.place = duel.random.place
    best = {
        "Adam": lambda net: torch.optim.Adam(net.parameters(), 3e-3, betas=(0.5, 0.99)),
        "plain": lambda net: torch.optim.SGD(net.parameters(), 3e-3),
    }[descent]
    down_g, down_d = best(G), best(D)
    of_critic = OF_CRITIC.get(kind, lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean())
    of_generator = OF_GENERATOR.get(kind, lambda f: -f.mean())
    losses = []
    for _ in range(turns):
        for _ in range(critic_steps):
            real, z, share = (part[0] for part in gans.duel.batch(noise, RING.double(), 64))
            fake = G(z).detach()
            logits = says(D, directions, hold, torch.cat([real, fake]))
            loss = total = of_critic(logits[:64], logits[64:])
            if hold == "gradient penalty":
                x = (share * real + (1 - share) * fake).requires_grad_()
                (slope,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
                total = loss + ((slope.norm(dim=1) - 1) ** 2).mean()
            down_d.zero_grad()
            total.backward()
            down_d.step()
        wanted = of_generator(says(D, directions, hold, G(z)))
        down_g.zero_grad()
        wanted.backward()
        down_g.step()
        losses.append([loss.item(), wanted.item()])
    return losses, G, D


def largest_difference(found, wanted):
    return max(
        np.abs(np.array(a).ravel() - b.detach().numpy().ravel()).max()
        for a, b in zip(found, wanted, strict=True)
    )


@pytest.mark.parametrize("kind, hold, descent", EVERY)
def test_twenty_turns_in_the_page_equal_those_of_torch(js, kind, hold, descent):
    found = in_page(js, 5, 20, kind, hold, descent, critic=2)
    losses, G, D = twin_played(5, 20, kind, hold, descent, 2)
    np.testing.assert_allclose(found["losses"], losses, rtol=0, atol=1e-4)
    assert largest_difference([found["losses"]], [torch.tensor(losses, dtype=torch.double)]) < 1e-8
    for numbers, net in zip(found["networks"], (G, D)):
        wanted = [part for layer in net[::2] for part in (layer.weight.T, layer.bias)]
        assert largest_difference([part for layer in numbers for part in layer], wanted) < 1e-8


@pytest.mark.parametrize("kind, hold, descent", EVERY[::4])
@pytest.mark.parametrize("steps", [(0, 1), (1, 0), (3, 1)])
def test_one_seed_is_one_game_in_torch_and_in_the_page(js, kind, hold, descent, steps):
    """Also beside other seeds, which play at the same time."""
    duel = gans.Duel(RING, seeds=[3, 8])
    critic, generator = steps
    losses = duel.play(20, kind, hold, critic, generator, descent=descent)
    for place, seed in enumerate([3, 8]):
        page = in_page(js, seed, 20, kind, hold, descent, critic=critic, generator=generator)
        np.testing.assert_allclose(page["losses"], losses[:, place], rtol=0, atol=1e-8)


def test_the_stream_is_the_same_and_looks_random(js):
    found = js("((s) => Array.from({length: 1000}, () => s.uniform()))(stream(7))")
    drawn = gans.duel.Stream([7, 8]).uniform(1000)
    assert drawn[0].tolist() == found and not (drawn[0] == drawn[1]).any()
    real, z, share = gans.duel.batch(gans.duel.Stream(range(20)), torch.zeros(1, 2).double(), 1000)
    normal = torch.cat([real.flatten() / 0.1, z.flatten()])
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02
    assert abs((normal**4).mean() - 3) < 0.2 and abs(share.var() - 1 / 12) < 0.002
    near = torch.corrcoef(drawn.view(-1, 2).T)[0, 1]
    assert abs(near) < 4 / math.sqrt(1000)


def test_coverage_is_that_of_the_library(js):
    duel = gans.Duel(RING)
    duel.play(150)
    (found,) = duel.coverage()
    samples = duel.samples()[0].flatten().tolist()
    page = js(f"coverage({samples}, {RING.double().tolist()}, 3 * 0.1, 12)")
    assert page == {"covered": found.covered, "quality": pytest.approx(found.quality)}
    logits, slope = duel.judged(duel.samples(), "saturating")
    x = duel.samples()[0].requires_grad_()
    loss = gans.generator_loss(duel.critic(x), "saturating") * len(x)
    torch.testing.assert_close(slope[0], torch.autograd.grad(loss, x)[0])
    torch.testing.assert_close(logits[0], duel.critic(x).detach())


@pytest.mark.parametrize("hold", HOLDS)
def test_fast_enough_to_be_watched(js, hold):
    """30 turns a second on one core: the best of five tries of 20 turns."""
    times = []
    for seed in range(5):
        begin = time.perf_counter()
        in_page(js, seed, 20, "non-saturating", hold, "Adam")
        times.append(time.perf_counter() - begin)
    assert 20 / min(times) > 30, f"{20 / min(times):.0f} turns a second"


@pytest.mark.parametrize(
    "wrong, words",
    [({"hold": "a leash"}, "hold"), ({"descent": "up"}, "descent"), ({"kind": "kind"}, "kind")],
)
def test_unknown_choices_are_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        gans.Duel(RING).play(1, **wrong)
    with pytest.raises(ValueError, match="turns"):
        gans.Arena(key="arena", turns=5)
    with pytest.raises(ValueError, match="centres"):
        gans.Duel(torch.zeros(3))


# ---- in a browser


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    html = gans.Arena(key="arena", title="A game", turns=60)._repr_mimebundle_()["text/html"]
    folder = tmp_path_factory.mktemp("arena")
    for mode, colours in (("light", "#fff;color:#14181e"), ("dark", "#14181e;color:#ced6dd")):
        (folder / f"{mode}.html").write_text(
            f'<!doctype html><html lang="en" data-theme="{mode}"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width"><title>Arena</title></head>'
            f'<body style="margin:16px;background:{colours}"><main><h1>Arena</h1>{html}</main>'
            "</body></html>",
            encoding="utf-8",
        )
    assert len(html) < 300_000
    return folder


@pytest.fixture
def page(files, open_page):
    yield (opened := open_page(files / "light.html"))
    assert opened.log == []


def text(page):
    return page.locator("output").text_content()


def turns(page):
    caption = page.locator("[data-panel=plane] .live-caption").text_content()
    return int(re.match(r"Turn (\d+)", caption.strip())[1])


def picture(page, panel="plane"):
    return page.locator(f"[data-panel={panel}] > *:last-child").evaluate("e => e.outerHTML")


def button(page, name):
    return page.get_by_role("button", name=name)


def test_it_waits_then_plays_thirty_turns_a_second_and_pauses(page):
    assert turns(page) == 0 and text(page).startswith("After 0 turns")
    before = picture(page)
    button(page, "Play").click()
    page.wait_for_timeout(2000)
    button(page, "Pause").click()
    reached = turns(page)
    assert reached >= 60 and text(page).startswith(f"After {reached} turns")
    assert picture(page) != before and "D's loss" in text(page)
    page.wait_for_timeout(200)
    assert turns(page) == reached
    button(page, "One turn").press("Enter")
    assert turns(page) == reached + 1
    button(page, "Begin again").click()
    assert turns(page) == 0 and picture(page) == before


def test_the_page_plays_the_game_of_its_seed(page):
    page.locator("[data-control=seed]").press("ArrowRight")
    page.locator("[data-control=kind]").select_option("hinge")
    duel = gans.Duel(RING, [1])
    for _ in range(3):
        button(page, "One turn").click()
    critic, generator = duel.play(3, "hinge")[-1, 0].tolist()
    assert f"D's loss is {critic:.2g}, G's loss is {generator:.2g}".replace("-", "−") in text(page)
    (found,) = duel.coverage()
    assert f"{found.covered} of 8 blobs" in text(page)


def test_every_control_moves_the_picture(page):
    for _ in range(3):
        button(page, "One turn").click()
    for control, value in {
        "kind": "saturating",
        "hold": "spectral norm",
        "world": "1",
    }.items():
        before = picture(page)
        page.locator(f"[data-control={control}]").select_option(value)
        assert picture(page) != before, control
    for control, value in {"moves": "5", "descent": "plain"}.items():
        button(page, "Begin again").click()
        button(page, "One turn").click()
        before = picture(page)
        button(page, "Begin again").click()
        page.locator(f"[data-control={control}]").select_option(value)
        button(page, "One turn").click()
        assert picture(page) != before, control
    for control in ("rate", "seed"):
        slider, before = page.locator(f"[data-control={control}]"), picture(page)
        slider.press("ArrowRight")
        button(page, "Begin again").click()
        button(page, "One turn").click()
        assert picture(page) != before and slider.get_attribute("aria-valuetext"), control


def test_data_drawn_by_mouse_and_by_keyboard(page):
    clear = page.get_by_text("Clear the drawing")
    assert clear.is_hidden()
    page.locator("[data-control=world]").select_option("")
    assert "Draw the data" in text(page)
    button(page, "Play").click()
    assert turns(page) == 0
    box = page.locator("[data-panel=plane] .live-box")
    area = box.bounding_box()
    page.mouse.move(area["x"] + 40, area["y"] + 60)
    page.mouse.down()
    page.mouse.move(area["x"] + 200, area["y"] + 60, steps=20)
    page.mouse.up()
    drawn = int(re.search(r"of (\d+) blobs", text(page))[1])
    assert drawn > 5
    clear.click()
    page.keyboard.press("Shift+Tab")
    box.focus()
    for key in ("ArrowUp", " ", "ArrowRight", "ArrowRight", " "):
        page.keyboard.press(key)
    assert "of 2 blobs" in text(page) and page.locator(".live-knob").count() == 1
    button(page, "One turn").click()
    assert turns(page) == 1 and page.locator(".live-knob").count() == 0


def test_with_reduced_motion_a_press_plays_a_burst(files, open_page):
    page = open_page(files / "light.html")
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    button(page, "Play 50 turns").click()
    assert turns(page) == 50
    page.wait_for_timeout(200)
    assert turns(page) == 50 and page.log == []


def test_without_scripts_the_game_of_torch_stands_there(files, open_page):
    page = open_page(files / "light.html", javascript=False)
    assert page.locator("img").count() == 3 and text(page).startswith("After 60 turns")
    for image in page.locator("img").all():
        assert image.is_visible() and len(image.get_attribute("alt").split()) >= 6
    assert all(c.is_disabled() for c in page.locator("input, select, button").all())


@pytest.mark.parametrize("width", [1300, 360])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_accessible_and_fits(files, open_page, mode, width):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(files / f"{mode}.html", mode=mode, width=width)
    page.locator("[data-control=world]").select_option("")
    button(page, "One turn").click()
    violations = {
        v["id"]: [node["html"][:150] for node in v["nodes"]]
        for v in Axe().run(page).response["violations"]
    }
    assert violations == {}
    assert page.evaluate("document.documentElement.scrollWidth") <= width and page.log == []
