import pytest
from llem_energy_zeus.availability import zeus_availability


def no_gpu():
    return 0, "no NVIDIA GPU can be read (no driver)"


def two_gpus():
    return 2, "2 of 2 NVIDIA GPUs have an energy counter"


def make_zone(folder, name, kind, energy="1000"):
    zone = folder / name
    zone.mkdir(parents=True)
    (zone / "name").write_text(kind + "\n")
    (zone / "energy_uj").write_text(energy)
    return zone


@pytest.fixture
def rapl(tmp_path):
    return tmp_path / "intel-rapl"


def test_nothing_to_read_is_not_usable_and_says_all_that_is_missing(rapl):
    found = zeus_availability([rapl], no_gpu)
    assert not found.usable
    assert found.domains == ()
    assert "no driver" in found.reason
    assert str(rapl) in found.reason


def test_gpus_alone_are_enough(rapl):
    found = zeus_availability([rapl], two_gpus)
    assert found.usable
    assert found.domains == ("gpu",)


def test_packages_and_their_memory_are_found(rapl):
    zone = make_zone(rapl, "intel-rapl:0", "package-0")
    assert zeus_availability([rapl], no_gpu).domains == ("cpu",)
    make_zone(zone, "intel-rapl:0:0", "core")
    assert zeus_availability([rapl], no_gpu).domains == ("cpu",)
    make_zone(zone, "intel-rapl:0:1", "dram")
    assert zeus_availability([rapl], two_gpus).domains == ("gpu", "cpu", "dram")


def test_rapl_that_cannot_be_read_does_not_count(rapl):
    make_zone(rapl, "intel-rapl:0", "package-0", energy="")
    found = zeus_availability([rapl], no_gpu)
    assert not found.usable
    assert "not readable" in found.reason


def test_one_package_that_cannot_be_read_does_not_cost_the_others(rapl):
    make_zone(rapl, "intel-rapl:0", "package-0")
    make_zone(rapl, "intel-rapl:1", "package-1", energy="")
    make_zone(rapl, "intel-rapl:2", "psys", energy="")
    found = zeus_availability([rapl], no_gpu)
    assert (found.usable, found.domains) == (True, ("cpu",))
    assert "RAPL has 1 readable packages of 2; the others are not readable" in found.reason


def test_the_folder_of_a_container_counts_where_there_is_no_other(rapl, tmp_path):
    make_zone(rapl, "intel-rapl:0", "package-0")
    assert zeus_availability([tmp_path / "none", rapl], no_gpu).usable


def test_a_zone_that_is_no_package_does_not_count(rapl):
    make_zone(rapl, "intel-rapl:0", "psys")
    assert not zeus_availability([rapl], no_gpu).usable
    make_zone(rapl, "intel-rapl:1", "package-0")
    assert zeus_availability([rapl], no_gpu).domains == ("cpu",)


def test_a_package_that_is_shown_twice_is_one(rapl):
    make_zone(rapl, "intel-rapl:0", "package-0")
    make_zone(rapl, "intel-rapl:1", "package-0")
    assert "RAPL has 1 readable packages" in zeus_availability([rapl], no_gpu).reason
