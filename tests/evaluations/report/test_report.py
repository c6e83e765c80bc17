"""The report on known numbers: what it says, that nothing is loaded or escapes, and that gaps do not stop it."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from sra_evaluations import Comparison
from sra_evaluations.examples import Example
from sra_evaluations.report import write_report
from sra_evaluations.report.again import run_again
from sra_evaluations.report.breakdown import attention_by_passage, break_down, part_of_all, parts_across_tasks
from sra_evaluations.report.entropy_profile import entropy_profile
from sra_evaluations.report.strength import by_strength
from sra_evaluations.report.task_results import collect, cost_words
from sra_evaluations.report.wording import reasons
from sra_evaluations.results.record import Record
from sra_evaluations.results.records import example_name, write_examples

from sra_rag import SRAConfig

EVIL = (
    "<script>document.title='taken'</script><img src=https://evil.example/x onerror=alert(1)>{{ 7*7 }}|`"
    "\" onload='alert(1)'"
)
SETTINGS = {
    "off": None,
    "weak": SRAConfig(alpha=0.1).to_dict(),
    "strong": SRAConfig(alpha=0.3).to_dict(),
    "late": SRAConfig(alpha=0.3, rows="after_context").to_dict(),
}


def manifest(settings, tasks):
    return {
        "format": 1,
        "model": {"name": "embedded", "dtype": "float32", "weights_sha256": "ab" * 32},
        "versions": {"python": "3.11", "torch": "2.13"},
        "machine": {"cores": 2, "device": "cpu"},
        "seed": 7,
        "max_new_tokens": 12,
        "settings": settings,
        "tasks": {name: {"examples": count, "sha256": "cd" * 32} for name, count in tasks.items()},
    }


def record(task, example, setting, scores, **more):
    return Record.from_dict({"task": task, "example": example, "setting": setting, "scores": scores} | more)


def question(number, said="Blue."):
    return Example(
        f"q{number}",
        "Answer.",
        f"Before. The colour of house {number} is blue. After {said}.",
        f"Question: What colour is house {number}?",
        ("blue",),
        gold=(f"The colour of house {number} is blue.",),
    )


def whole_run(folder, n=40, settings=SETTINGS):
    """Houses: strong is right on 12 examples more, weak on 1, late on 10 fewer; every kind of measure is there."""
    examples = [question(number) for number in range(n)]
    write_examples(folder, "houses", examples)
    records = []
    right = {
        "off": lambda at: at < 20,
        "weak": lambda at: at < 21,
        "strong": lambda at: at < 32,
        "late": lambda at: at < 10,
    }
    for at, example in enumerate(examples):
        for setting in settings:
            timed, late = at < 2, setting == "strong"
            records.append(
                record(
                    "houses",
                    example_name(example),
                    setting,
                    {"right": float(right[setting](at)), "gold_nats_per_token": 1.0 + at / n - 0.2 * late,
                     "gold_attention": 0.05 + 0.01 * late},
                    features={"position": at % 5 / 4, "kind": "a" if at % 2 else "b"},
                    timed=timed,
                    answer="It is blue." if right[setting](at) else "It is <b>red</b>.",
                    finish_reason="stop",
                    usage={"prompt_tokens": 100 + at, "completion_tokens": 11, "cached_tokens": 0},
                    seconds={"prefill_seconds": 2.0 if late else 1.0, "decode_seconds": 1.5 if late else 1.0},
                    peak_bytes=2_000_000_000,
                    entropy=[[1.0 - 0.5 * late, 2.0], [3.0, 4.0 - 0.25 * late]],
                    passage_attention=[0.02, 0.05 + 0.01 * late, 0.03],
                )
            )  # fmt: skip
    return Comparison(manifest(settings, {"houses": n}), records)


class Loads(HTMLParser):
    """What a page would load or run, and its text."""

    def __init__(self):
        super().__init__()
        self.loads, self.scripts, self.text, self.ids, self.links, self.drawings = [], 0, [], [], [], []
        self.inside = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.scripts += tag == "script" or any(name.startswith("on") for name in given)
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster", "background"):
            if name in given and not given[name].startswith(("#", "data:image/png;base64,")):
                self.loads.append((tag, name, given[name]))
            elif name in given and tag == "a":
                self.links.append(given[name][1:])
        if tag in ("link", "iframe", "object", "embed", "base", "form"):
            self.loads.append((tag,))
        if "id" in given:
            self.ids.append(given["id"])
        if tag == "svg":
            self.drawings.append(given)
        if "url(" in (given.get("style") or "").replace("url(#", ""):
            self.loads.append((tag, "style"))

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    found = Loads()
    found.feed(page)
    return found


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    report = write_report(whole_run(folder), folder)
    return folder, report.summary.read_text(), report.html.read_text()


def test_the_summary_begins_with_the_verdicts(written):
    _, summary, _ = written
    weak, strong, late = (line for line in summary.split("## houses")[0].splitlines() if line.startswith("- "))
    assert "**strong**: helps on houses (+30.0 points, +17.5 to +45.0, n = 40)." in strong
    assert "**late**: hurts on houses (-25.0 points" in late
    assert "**weak**: no difference shown on houses (+2.5 points" in weak
    assert "prefill 2.00 times (2.00 s for 1.00 s, single examples 2.00 to 2.00; n = 2)" in strong
    assert "decoding a token 1.50 times" in strong
    assert "peak memory 1.00 times (2.00 GB for 2.00 GB" in strong


def test_a_verdict_names_size_interval_n_and_p(written):
    _, summary, page = written
    said = "Answers right: 80.0% against 50.0% with off, 30.0 points more (95% interval +17.5 to +45.0 points; n = 40; "
    assert f"- strong helps on houses. {said}corrected p = 0.001)." in summary
    assert said in " ".join(read(page).text).replace("\N{NO-BREAK SPACE}", " ")


def test_what_nothing_is_shown_of_says_why():
    settings = {"off": None, "a": SRAConfig(alpha=0.1).to_dict(), "b": SRAConfig(alpha=0.2).to_dict()}
    records = [
        record("t", str(at), setting, {"right": value(at)})
        for setting, value in {"off": lambda at: 0.0, "a": lambda at: float(at < 5), "b": lambda at: 0.0}.items()
        for at in range(20)
    ]
    [task] = collect(Comparison(manifest(settings, {"t": 20}), records), {})
    some, none = task.verdicts
    assert some.verdict == none.verdict == "no difference shown"
    assert some.difference.low > 0
    assert "leaves zero out, but the p-value" in reasons(some)
    assert "not one of n = 20 examples changed" in reasons(none)
    assert cost_words(task, "a") == "Cost: not timed (no timed example has both settings)."


def test_one_slow_moment_does_not_move_what_a_setting_costs():
    records = [
        record("t", str(at), setting, {"right": 1.0}, timed=True,
               usage={"prompt_tokens": 9, "completion_tokens": 11, "cached_tokens": 0}, peak_bytes=1_000_000_000,
               seconds={"prefill_seconds": 60.0 if setting == "a" and at == 0 else 2.0, "decode_seconds": 1.0})
        for setting in ("off", "a")
        for at in range(5)
    ]  # fmt: skip
    [task] = collect(Comparison(manifest({"off": None, "a": SRAConfig().to_dict()}, {"t": 5}), records), {})
    assert "prefill 1.00 times (2.00 s for 2.00 s, single examples 1.00 to 30.00; n = 5)" in cost_words(task, "a")


def test_harm_to_plain_text_is_said_in_nats_a_token(tmp_path):
    texts = [Example(f"p{at}", "", f"Once upon a time {at}", "", (" there was.",), plain=True) for at in range(12)]
    write_examples(tmp_path, "plain-text", texts)
    records = [
        record("plain-text", example_name(text), setting, {"gold_nats_per_token": 3.0 + harm + 0.001 * (at % 3)})
        for at, text in enumerate(texts)
        for setting, harm in (("off", 0.0), ("strong", 0.02 + 0.001 * at))
    ]
    settings = {name: SETTINGS[name] for name in ("off", "strong")}
    report = write_report(Comparison(manifest(settings, {"plain-text": 12}), records), tmp_path)
    summary = report.summary.read_text()
    assert (
        "strong hurts on plain-text. Negative log-likelihood of the plain text: 0.025 nats a token worse, " in summary
    )
    assert "nothing is generated on this task" in summary
    text = "".join(read(report.html.read_text()).text)
    assert "How it goes on" in text
    assert "0 better, 12 worse" in text


def test_the_page_loads_and_runs_nothing(written):
    _, _, page = written
    found = read(page)
    assert found.loads == []
    assert found.scripts == 0
    assert "default-src 'none'" in page
    assert not re.search(r"@import|url\((?!#)", page)
    assert len(found.ids) == len(set(found.ids))
    assert set(found.links) <= set(found.ids)
    assert len(found.links) >= 2


def test_every_drawing_is_told_in_words_and_takes_its_colours_from_the_page(written):
    _, _, page = written
    found = read(page)
    # Position, kind and length; attention by the numeric two and by passage; two metrics by alpha; entropy by layer,
    # and 3 heat maps; attention of each example that weak, strong and late changed.
    assert len(found.drawings) == 3 + 2 + 1 + 2 + 1 + 3 + (1 + 12 + 10)
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 20 for svg in found.drawings)
    assert "#5e00" not in page
    assert "#5eff" not in page
    assert {f"var(--series-{n})" for n in range(4)} <= set(re.findall(r"var\(--series-\d\)", page))


def test_a_page_is_the_same_each_time(written):
    folder, summary, page = written
    again = write_report(whole_run(folder), folder)
    assert again.html.read_text() == page
    assert again.summary.read_text() == summary
    assert not list(folder.glob(".*.part"))


def test_changed_examples_stand_side_by_side(written):
    _, _, page = written
    text = re.sub(r"\s+", " ", "".join(read(page).text))
    assert "strong: 12 better, 0 worse than with off" in text
    assert "late: 0 better, 10 worse than with off" in text
    change = text[text.index("What colour is house 20?") :]
    assert change.index("wrong · attention on the gold passage 5.00%") < change.index(
        "right · attention on the gold passage 6.00%"
    )
    assert "The colour of house <mark>20</mark>" not in page
    assert "The colour of house 20 is <mark>blue</mark>." in page
    assert "It is &lt;b&gt;red&lt;/b&gt;." in page


def test_no_more_than_twenty_of_a_direction_are_shown_and_the_rest_is_counted(tmp_path):
    settings = {"off": None, "strong": SETTINGS["strong"]}
    examples = [question(at) for at in range(27)]
    write_examples(tmp_path, "t", examples)
    records = [
        record("t", example_name(example), setting, {"right": float(setting == "strong")}, answer="blue")
        for example in examples
        for setting in settings
    ]
    page = write_report(Comparison(manifest(settings, {"t": 27}), records), tmp_path).html.read_text()
    assert page.count('<details class="change">') == 20
    assert "7 more are left out here" in page


def test_nothing_that_comes_from_outside_becomes_markup(tmp_path):
    places = ("answer", "question", "gold", "setting", "task", "model", "feature", "value")
    put = {place: f"{place} {EVIL}" for place in places}
    examples = [
        Example(str(at), "Say.", f"{put['gold']} {at}", put["question"], (put["gold"],), gold=(put["gold"],))
        for at in range(4)
    ]
    write_examples(tmp_path, put["task"], examples)
    settings = {"off": None, put["setting"]: SETTINGS["weak"]}
    records = [
        record(put["task"], example_name(example), setting, {"right": float(at < 3 if sra else at < 1)},
               answer=put["answer"], features={put["feature"]: put["value"] if at % 2 else "other"})
        for at, example in enumerate(examples)
        for setting, sra in settings.items()
    ]  # fmt: skip
    made = manifest(settings, {put["task"]: 4})
    made["model"]["name"] = put["model"]
    report = write_report(Comparison(made, records), tmp_path)
    found = read(report.html.read_text())
    assert found.scripts == 0
    assert found.loads == []
    for place in places:
        assert put[place] in "".join(found.text), place
    assert "<" not in report.summary.read_text().replace("< 0.001", "")


def test_one_setting_is_shown_without_a_comparison(tmp_path):
    report = write_report(whole_run(tmp_path, n=6, settings={"off": None}), tmp_path)
    assert "| answers right | off | 100.0% (61.0% to 100.0%) | 6 |" in report.summary.read_text()
    assert "nothing to compare it with" in report.html.read_text()


def test_one_example_has_no_interval(tmp_path):
    report = write_report(whole_run(tmp_path, n=1), tmp_path)
    summary, page = report.summary.read_text(), report.html.read_text()
    assert "n = 1, which has no interval" in summary
    assert "nan" not in re.findall(r"\b[a-z]+\b", summary)
    assert not re.search(r"\bnan\b", "".join(read(page).text), re.IGNORECASE)


def test_a_run_that_stopped_early_says_how_far_it_came(tmp_path):
    whole = whole_run(tmp_path)
    partial = Comparison(whole.manifest, whole.records[:17])
    text = "".join(read(write_report(partial, tmp_path).html.read_text()).text)
    assert "Of 40 examples there are so far: 5 with off, 4 with weak" in text
    nothing = Comparison(whole.manifest, whole.records[:1])
    report = write_report(nothing, tmp_path)
    assert "No example has both this setting and off yet." in report.html.read_text()
    assert "no example has both this setting and the baseline yet" in report.summary.read_text()
    report = write_report(Comparison(whole.manifest, []), tmp_path)
    assert "Nothing has been measured yet." in report.summary.read_text()
    assert "Nothing has been measured yet." in report.html.read_text()


def test_examples_whose_text_is_lost_are_shown_all_the_same(tmp_path):
    settings = {"off": None, "strong": SETTINGS["strong"]}
    records = [
        record("t", str(at), setting, {"right": float(setting == "strong")}, answer=f"said {setting}")
        for at in range(3)
        for setting in settings
    ]
    page = write_report(Comparison(manifest(settings, {"t": 3}), records), tmp_path).html.read_text()
    assert "is not in the folder" in page
    assert "said strong" in page


def test_parts_have_their_own_n_and_many_numbers_are_put_in_ranges():
    records = [
        record("t", str(at), setting, {"right": float(at % 2)},
               features={"position": at % 4 / 3, "place": at / 40, "flag": at < 10, "name": f"n{at}"})
        for at in range(40)
        for setting in ("off", "strong")
    ]  # fmt: skip
    settings = {"off": None, "strong": SETTINGS["strong"]}
    by = {b.feature: b for b in break_down(Comparison(manifest(settings, {"t": 40}), records), "t", "right")}
    assert [part.label for part in by["position"].parts] == ["0", "0.333", "0.667", "1"]
    assert [part.estimates["off"].value for part in by["position"].parts] == [0, 1, 0, 1]
    assert [part.estimates["off"].n for part in by["place"].parts] == [8] * 5
    assert by["place"].parts[0].label == "0 to 0.175"
    assert not by["flag"].numeric
    assert [part.label for part in by["flag"].parts] == ["False", "True"]
    assert "name" not in by
    assert by["position"].parts[0].differences["strong"].n == 10


def test_the_position_curve_is_drawn_with_and_without_copies(tmp_path):
    records = [
        record("houses", example_name(question(at)), setting,
               {"right": 1.0, "right_not_copied": float(setting == "off")}, features={"position": at % 5 / 4})
        for at in range(20)
        for setting in ("off", "strong")
    ]  # fmt: skip
    settings = {name: SETTINGS[name] for name in ("off", "strong")}
    report = write_report(Comparison(manifest(settings, {"houses": 20}), records), tmp_path)
    drawn = [drawing["aria-label"] for drawing in read(report.html.read_text()).drawings]
    for label in ("Answers right", "Answers right that do not begin as a copy of the passage"):
        assert f"{label}, by position, under off, strong. The numbers are in the table that follows." in drawn


def test_tasks_that_differ_in_one_number_are_held_next_to_each_other():
    tasks = {"needle:length=300": 0.2, "needle": 0.5, "needle:length=300,kind=figures": 1.0, "documents": 0.0}
    lengths = {"needle": 2000}
    records = [
        record(task, str(at), "off", {"right": float(at < 10 * share)}, features={"length": lengths.get(task, 300)})
        for task, share in tasks.items()
        for at in range(10)
    ]
    [found] = parts_across_tasks(Comparison(manifest({"off": None}, dict.fromkeys(tasks, 10)), records))
    assert (found.title, found.feature) == ("needle", "length")
    assert [(part.label, part.estimates["off"].value) for part in found.parts] == [("300", 0.2), ("2000", 0.5)]


def test_strengths_are_those_that_differ_in_nothing_else(tmp_path):
    settings = SETTINGS | {
        "layered": SRAConfig(alpha=(0.1, 0.2)).to_dict(),
        "later": SRAConfig(alpha=0.1, rows="after_context").to_dict(),
    }
    records = [record("t", str(at), name, {"right": float(at % 2)}) for at in range(6) for name in settings]
    found = Comparison(manifest(settings, {"t": 6}), records)
    series = by_strength(found, found.findings("t", "right"))
    assert [(one.label, [alpha for alpha, _ in one.points]) for one in series] == [
        ("policy entropy, rows all", [0.1, 0.3]),
        ("policy entropy, rows after_context", [0.1, 0.3]),
    ]
    no_off = {name: settings[name] for name in ("weak", "strong", "late")}
    held = Comparison(manifest(no_off, {"t": 6}), [r for r in records if r.setting in no_off])
    assert by_strength(held, held.findings("t", "right")) == []


def test_entropy_is_compared_on_the_examples_that_all_have(tmp_path):
    whole = whole_run(tmp_path, n=4)
    assert whole.records[3].setting == "late"
    records = [*whole.records[:3], *whole.records[4:]]
    profile = entropy_profile(Comparison(whole.manifest, records), "houses")
    assert profile.n == 3
    assert [e.value for e in profile.by_layer["off"]] == [1.5, 3.5]
    assert [e.value for e in profile.change_by_layer["strong"]] == [-0.25, -0.125]
    np.testing.assert_array_equal(profile.change_by_head["strong"], [[-0.5, 0], [0, -0.25]])


def test_an_interval_of_a_part_is_the_interval_of_the_verdict():
    values = {"off": [0.1, 0.4, 0.2, 0.9, 0.3], "strong": [0.3, 0.5, 0.9, 0.8, 0.2]}
    records = [
        record("t", str(at), setting, {"f1": value})
        for setting, them in values.items()
        for at, value in enumerate(them)
    ]
    comparison = Comparison(manifest({"off": None, "strong": SETTINGS["strong"]}, {"t": 5}), records)
    [part] = part_of_all(comparison, "t", "f1").parts
    [finding] = comparison.findings("t", "f1")
    interval = part.differences["strong"]
    assert (interval.low, interval.high) == (finding.difference.low, finding.difference.high)


def test_the_command_runs_the_same_again(tmp_path):
    settings = {
        "off": None,
        "alpha=0.1": SRAConfig(alpha=0.1).to_dict(),
        "mine": SRAConfig(alpha=0.2, layers=(3, 4), bounds=(0.0, 6.5), policy="focus").to_dict(),
        "by layer": SRAConfig(alpha=(0.1, 0.2)).to_dict(),
    }
    made = manifest(settings, {"needle:length=300": 40, "documents": 12, "house rules": 40})
    again = run_again(made, [], {})
    assert again.command == (
        "sra-rag evaluate needle:length=300 documents --sra off --sra alpha=0.1 "
        "--sra mine:alpha=0.2,bounds=0.0,6.5,layers=3,4,policy=focus --sra 'by layer:setting-2.json' "
        "--model embedded --dtype float32 --limit 40 --seed 7 --max-new-tokens 12 --to evaluation-again"
    )
    assert [note.split(":")[0] for note in again.notes[:1]] == ["The command line does not know the task house rules"]
    assert "Save the settings by layer" in again.notes[1]
    assert "different limits" in again.notes[2]
    page = write_report(Comparison(made, []), tmp_path).html.read_text()
    assert json.dumps(settings["mine"], indent=2) in "".join(read(page).text)


def test_settings_longer_than_any_path_are_run_again_from_a_file_or_by_the_name_of_their_profile():
    heads = SRAConfig(alpha=[[0.1, 0.2, 0.3] * 3] * 30)
    likely = SRAConfig.from_json("embedded-likelihood")
    again = run_again(manifest({"heads": heads.to_dict(), "likely": likely.to_dict()}, {"documents": 12}), [], {})
    assert "--sra heads:setting-1.json --sra likely:embedded-likelihood " in again.command
    assert len(again.notes) == 1


def test_a_report_that_cannot_be_made_leaves_the_one_before(tmp_path):
    whole = whole_run(tmp_path, n=3, settings={"off": None})
    before = write_report(whole, tmp_path).html.read_text()
    broken = {name: value for name, value in whole.manifest.items() if name != "seed"}
    with pytest.raises(KeyError):
        write_report(Comparison(broken, whole.records[:1]), tmp_path)
    assert (tmp_path / "report.html").read_text() == before
    assert "| off | 100.0% (43.9% to 100.0%) | 3 |" in (tmp_path / "summary.md").read_text()


def test_the_attention_on_each_passage_is_drawn_before_and_after(tmp_path):
    comparison = whole_run(tmp_path)
    found = attention_by_passage(comparison, "houses")
    assert [part.label for part in found.parts] == ["1", "2", "3"]
    means = {name: [part.estimates[name].value for part in found.parts] for name in ("off", "strong")}
    assert means == {"off": pytest.approx([0.02, 0.05, 0.03]), "strong": pytest.approx([0.02, 0.06, 0.03])}
    page = read(write_report(comparison, tmp_path).html.read_text())
    labels = [drawing["aria-label"] for drawing in page.drawings]
    assert [label for label in labels if label.startswith("Attention on each passage, by passage")]
    # One for each example that changed, with the two settings that are compared.
    changed = [label for label in labels if label.startswith("Attention of the gold answer on each passage")]
    shown = sum(min(20, len(names)) for s in ("weak", "strong", "late") for names in comparison.changed("houses", s))
    assert len(changed) == shown > 0
    assert any("with off and with strong: example q20@" in label for label in changed)


def test_without_measured_attention_nothing_is_drawn():
    records = [
        record("t", f"e{n}", name, {"right": 1.0 * (name == "weak")}) for n in range(3) for name in ("off", "weak")
    ]
    comparison = Comparison(manifest({"off": None, "weak": SETTINGS["weak"]}, {"t": 3}), records)
    assert attention_by_passage(comparison, "t") is None
