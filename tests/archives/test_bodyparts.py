import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlkit.archives.bodyparts import PARTS, RADIOGRAPHS, VAGUE, fold, repair


def repaired(tag: str, study: str = "", modality: str = "CT", **more: str) -> str:
    return repair({"BodyPartExamined": tag, "StudyDescription": study, "Modality": modality} | more)


@pytest.mark.parametrize(
    ("tag", "part"),
    [
        # the synonyms that radiologynet2025 0.2 names
        ("EXTREMITY", "EXTREMITY"), ("EXTREM", "EXTREMITY"), ("UP_EXM", "ARM"), ("LOW_EXM", "LEG"),
        ("ABDOM", "ABDOMEN"), ("C_SPNE", "CSPINE"), ("T_SPNE", "TSPINE"), ("L_SPNE", "LSPINE"), ("THORAX", "CHEST"),
        ("HEART", "CHEST"), ("KIDNEY", "URINARYTRACT"), ("LIVER", "URINARYTRACT"),
        # German, Croatian, and other spellings
        ("Schädel", "HEAD"), ("KOPF", "HEAD"), ("Hüfte", "HIP"), ("HUEFTE", "HIP"), ("HIPS", "HIP"), ("Fuß", "FOOT"),
        ("Ellbogen", "ELBOW"), ("HANDGELENK", "WRIST"), ("HAND", "HAND"), ("šaka", "HAND"), ("Koljeno", "KNEE"),
        ("zdjelica", "PELVIS"), ("CHEST^ABDOMEN", "CHEST"), ("LWS", "LSPINE"), ("NNH", "FACE"), ("Ganzkörper", ""),
        # nothing, or nothing that is known: what is typed by hand may be a name
        ("", ""), ("Mustermann, Eva", ""), ("???", ""),
    ],
)  # fmt: skip
def test_synonyms_of_the_tag(tag, part):
    assert repaired(tag) == part
    assert part == "" or part in PARTS


@pytest.mark.parametrize(
    ("tag", "study", "part"),
    [
        ("", "MR mozga", "HEAD"), ("", "CT Schädel nativ", "HEAD"), ("", "MSCT toraksa", "CHEST"),
        ("", "RTG prsnog koša", "CHEST"), ("", "MR lijevog koljena", "KNEE"), ("", "RTG potkoljenice", "LEG"),
        ("", "MRT LWS", "LSPINE"), ("", "MR vratne kralježnice", "CSPINE"), ("", "CT of the neck", "NECK"),
        ("", "Pasaža želuca", "STOMACH"), ("", "Knie links", "KNEE"), ("", "Routine", ""),
        # vague ones give way, and only to what they may mean
        ("SPINE", "CT lumbar spine", "LSPINE"), ("SPINE", "CT abdomen", "SPINE"), ("EXTREMITY", "RTG šake", "HAND"),
        ("EXTREMITY", "CT Thorax", "EXTREMITY"), ("NECK", "MR cervical spine", "CSPINE"), ("NECK", "CT Kopf", "NECK"),
        ("ABDOMEN", "Urografija bubrega", "URINARYTRACT"), ("ABDOMEN", "CT thorax", "ABDOMEN"),
        # clear ones stay
        ("KNEE", "MR mozga", "KNEE"), ("CHEST", "CT abdomen", "CHEST"),
    ],
)  # fmt: skip
def test_descriptions_fill_empty_tags_and_refine_vague_ones(tag, study, part):
    assert repaired(tag, study) == part
    other = {"StudyDescription": "", "RequestedProcedureDescription": study}
    assert repaired(tag, **other) == part


def test_on_a_plain_radiograph_the_neck_is_the_spine_and_the_head_the_skull():
    assert [repaired(tag, modality="CR") for tag in ("NECK", "HEAD", "", "CHEST")] == ["CSPINE", "SKULL", "", "CHEST"]
    assert repaired("", "RTG glave", "CR") == "SKULL" and repaired("HEAD", modality="MR") == "HEAD"
    assert repair({}) == ""


def test_the_tables_name_parts_that_there_are():
    named = {*VAGUE, *RADIOGRAPHS, *RADIOGRAPHS.values(), *(part for parts in VAGUE.values() for part in parts)}
    assert named <= set(PARTS)
    assert all(repaired(part) == part for part in PARTS if part != "SSPINE") and repaired("SSPINE") == "SSPINE"


def test_text_is_folded():
    assert fold("Kralježnica ĐURO Fuß Schädel") == "kraljeznica duro fuss schadel"


@given(st.text(max_size=40), st.text(max_size=40), st.sampled_from(["CT", "CR", ""]))
def test_whatever_is_typed_only_names_of_the_list_come_out(tag, study, modality):
    assert repaired(tag, study, modality) in {"", *PARTS}
