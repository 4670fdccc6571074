"""The four documented datasets (the specification's Testing Guide, and the mistakes it names)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from tests.doubles import counting_rollout, latent_arrays, make_rollouts
from world_models.datasets.rollout_files import write_rollout
from world_models.datasets.wm_dataset import (
    LatentSequenceDataset,
    ObservationDataset,
    RolloutDataset,
    SequenceDataset,
)
from world_models.errors import ConfigError, DataError

LENGTHS = [9, 12, 7, 10]


class AsModule(torch.nn.Module):
    """A transform of torchvision's kind."""

    def forward(self, img: np.ndarray[Any, Any]) -> torch.Tensor:
        return 1 - torch.from_numpy(img).permute(2, 0, 1) / 255


class AsCompose:
    """A transform of albumentations' kind."""

    def __call__(self, *args: Any, force_apply: bool = False, **data: Any) -> dict[str, Any]:
        assert not args
        return {"image": 255 - data["image"]}


FORMS: dict[str, Any] = {
    "Compose": AsCompose(),
    "a function of image": lambda image: {"image": 255 - image},
    "a function of anything": lambda frame: 255 - frame,
    "a function to floats": lambda x: np.float32(1) - x.astype(np.float32) / 255,
    "to a PIL image": lambda x: Image.fromarray(255 - x),
    "a module": AsModule(),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_rollouts(tmp_path, LENGTHS, action_size=2)
    return tmp_path


def times(images: torch.Tensor) -> list[int]:
    """The t of counting images (..., 3, H, W)."""
    told: list[int] = (images[..., 0, 0, 0] * 255).round().int().tolist()
    return told


def episode_of(image: torch.Tensor) -> int:
    return int((image[2, 0, 0] * 255).round())


class TestRolloutDataset:
    def test_a_sample_is_a_dict_of_float32_tensors(self, data: Path) -> None:
        sample = RolloutDataset(data, num_test_files=0)[3]
        shapes = {key: tuple(value.shape) for key, value in sample.items()}
        assert shapes == {"observation": (3, 64, 64), "action": (2,), "reward": (), "terminal": ()}
        assert {value.dtype for value in sample.values()} == {torch.float32}
        assert sample["observation"].min() >= 0 and sample["observation"].max() <= 1

    def test_observation_action_and_reward_of_a_sample_are_of_one_time(self, data: Path) -> None:
        dataset = RolloutDataset(data, num_test_files=0)
        for i in range(len(dataset)):
            sample = dataset[i]
            t = times(sample["observation"])
            assert sample["action"][0] == t and sample["reward"] == t
            assert sample["terminal"] == float(t == LENGTHS[episode_of(sample["observation"])] - 1)

    def test_the_last_files_are_the_test_files(self, data: Path) -> None:
        train = RolloutDataset(data, train=True, num_test_files=1)
        test = RolloutDataset(data, train=False, num_test_files=1)
        assert (len(train), len(test)) == (9 + 12 + 7, 10)
        assert episode_of(test[0]["observation"]) == 3

    def test_no_test_files_means_all_files_train(self, data: Path) -> None:
        assert len(RolloutDataset(data, num_test_files=0)) == sum(LENGTHS)
        assert len(RolloutDataset(data, train=False, num_test_files=0)) == 0

    def test_too_few_files_all_train(self, data: Path) -> None:
        assert len(RolloutDataset(data)) == sum(LENGTHS)
        assert len(RolloutDataset(data, train=False)) == 0

    def test_the_buffer_goes_round_over_all_files(self, data: Path) -> None:
        dataset = RolloutDataset(data, buffer_size=3, num_test_files=0)
        seen = []
        for _ in range(4):
            seen.append([episode_of(dataset[i]["observation"]) for i in range(len(dataset))])
            dataset.load_next_buffer()
        first, second = [0] * 9 + [1] * 12 + [2] * 7, [3] * 10
        assert seen == [first, second, first, second]

    def test_a_transform_sees_the_frame_and_its_image_is_used(self, data: Path) -> None:
        def transform(*, image: np.ndarray[Any, Any]) -> dict[str, Any]:
            assert image.dtype == np.uint8 and image.shape == (64, 64, 3)
            return {"image": image[::2, ::2] // 2}

        observation = RolloutDataset(data, transform=transform, num_test_files=0)[8]["observation"]
        assert observation.shape == (3, 32, 32) and times(observation) == 4

    @pytest.mark.parametrize("form", FORMS)
    def test_a_transform_of_any_common_form_is_used(self, data: Path, form: str) -> None:
        dataset = RolloutDataset(data, transform=FORMS[form], num_test_files=0)
        observation = dataset[8]["observation"]
        assert observation.shape == (3, 64, 64) and observation.dtype == torch.float32
        assert torch.allclose(observation, 1 - RolloutDataset(data, num_test_files=0)[8]["observation"], atol=1e-6)

    def test_an_index_out_of_range_is_an_index_error(self, data: Path) -> None:
        dataset = RolloutDataset(data, num_test_files=0)
        assert times(dataset[-1]["observation"]) == 9
        for index in (len(dataset), -len(dataset) - 1):
            with pytest.raises(IndexError):
                dataset[index]

    def test_samples_can_be_changed_without_changing_the_dataset(self, data: Path) -> None:
        dataset = RolloutDataset(data, num_test_files=0)
        dataset[3]["action"].fill_(99)
        assert dataset[3]["action"][0] == 3

    def test_a_missing_folder_and_settings_that_cannot_work_are_refused(self, data: Path) -> None:
        with pytest.raises(DataError, match="no such data folder"):
            RolloutDataset(data / "nowhere")
        with pytest.raises(ConfigError, match="buffer_size is 0"):
            RolloutDataset(data, buffer_size=0)
        with pytest.raises(ConfigError, match="num_test_files is -1"):
            RolloutDataset(data, num_test_files=-1)

    def test_a_bad_file_is_named_and_the_buffer_stays(self, data: Path) -> None:
        dataset = RolloutDataset(data, buffer_size=2, num_test_files=0)
        assert len(dataset) == 21
        (data / "rollout_00003.npz").write_bytes(b"")
        with pytest.raises(DataError, match=r"rollout_00003\.npz"):
            dataset.load_next_buffer()
        assert len(dataset) == 21 and times(dataset[20]["observation"]) == 11


class TestObservationDataset:
    def test_a_sample_is_the_image_alone(self, data: Path) -> None:
        image = ObservationDataset(root=data, train=True, num_test_files=0)[5]
        assert image.shape == (3, 64, 64) and image.dtype == torch.float32
        assert times(image) == 5 and image.min() >= 0 and image.max() <= 1

    def test_it_is_a_rollout_dataset_with_its_split(self, data: Path) -> None:
        dataset = ObservationDataset(data, train=False, num_test_files=2)
        assert isinstance(dataset, RolloutDataset)
        assert {episode_of(dataset[i]) for i in range(len(dataset))} == {2, 3}

    def test_a_transform_may_give_a_tensor(self, data: Path) -> None:
        def to_tensor(*, image: np.ndarray[Any, Any]) -> dict[str, Any]:
            return {"image": torch.from_numpy(image).permute(2, 0, 1)}

        plain, changed = ObservationDataset(data), ObservationDataset(data, transform=to_tensor)
        assert torch.equal(plain[7], changed[7])

    def test_a_data_loader_batches_it(self, data: Path) -> None:
        loader = DataLoader(ObservationDataset(data, num_test_files=0), batch_size=16, shuffle=True)
        assert sum(len(batch) for batch in loader) == sum(LENGTHS)


class TestSequenceDataset:
    def test_a_sample_is_five_float32_tensors_of_seq_len_rows(self, data: Path) -> None:
        sample = SequenceDataset(data, num_test_files=0, seq_len=4)[0]
        shapes = [tuple(tensor.shape) for tensor in sample]
        assert shapes == [(4, 3, 64, 64), (4, 2), (4,), (4,), (4, 3, 64, 64)]
        assert {tensor.dtype for tensor in sample} == {torch.float32}

    def test_action_t_goes_with_frame_t_and_the_next_frame_follows(self, data: Path) -> None:
        dataset = SequenceDataset(data, num_test_files=0, seq_len=4)
        for i in range(len(dataset)):
            now, action, reward, _, then = dataset[i]
            assert action[:, 0].tolist() == reward.tolist() == times(now)
            assert times(then) == [t + 1 for t in times(now)]
            assert len({episode_of(image) for image in [*now, *then]}) == 1

    def test_it_has_every_sequence_that_lies_within_a_file(self, data: Path) -> None:
        assert len(SequenceDataset(data, num_test_files=0, seq_len=8)) == 1 + 4 + 0 + 2

    def test_buffers_of_files_too_short_are_passed_over(self, data: Path) -> None:
        dataset = SequenceDataset(data, buffer_size=1, num_test_files=0, seq_len=9)
        seen = []
        for _ in range(3):
            seen.append(episode_of(dataset[0][0][0]))
            dataset.load_next_buffer()
        assert seen == [1, 3, 1]

    def test_no_file_long_enough_is_an_error_that_names_the_longest(self, data: Path) -> None:
        dataset = SequenceDataset(data, buffer_size=3, num_test_files=0, seq_len=12)
        with pytest.raises(DataError, match=r"13 steps.*longest has 12.*lower seq_len"):
            len(dataset)

    def test_a_transform_is_applied_to_each_frame(self, data: Path) -> None:
        def flip(*, image: np.ndarray[Any, Any]) -> dict[str, Any]:
            return {"image": 255 - image}

        plain = SequenceDataset(data, num_test_files=0, seq_len=3)[2]
        changed = SequenceDataset(data, transform=flip, num_test_files=0, seq_len=3)[2]
        for place in (0, 4):
            assert torch.allclose(changed[place], 1 - plain[place])


@pytest.mark.parametrize("kind", [RolloutDataset, ObservationDataset, SequenceDataset])
def test_a_dataset_with_a_buffer_refuses_to_work_in_a_worker(data: Path, kind: type[RolloutDataset]) -> None:
    extra: dict[str, Any] = {"seq_len": 3} if kind is SequenceDataset else {}
    loader = DataLoader(kind(data, num_test_files=0, **extra), num_workers=1)
    with pytest.raises(ConfigError, match=rf"{kind.__name__}.*num_workers=0"):
        next(iter(loader))


class TestLatentSequenceDataset:
    def test_a_sample_is_five_float32_tensors_of_seq_len_rows(self) -> None:
        sample = LatentSequenceDataset(*latent_arrays([20]), seq_len=6)[0]
        assert [tuple(tensor.shape) for tensor in sample] == [(6, 2), (6, 2), (6,), (6,), (6, 2)]
        assert {tensor.dtype for tensor in sample} == {torch.float32}

    def test_it_has_no_buffer_and_works_in_workers(self) -> None:
        dataset = LatentSequenceDataset(*latent_arrays([30]), seq_len=4)
        loader = DataLoader(dataset, batch_size=8, num_workers=2)
        assert sum(len(batch[0]) for batch in loader) == len(dataset) == 7

    def test_arrays_that_do_not_fit_together_are_refused_by_name(self) -> None:
        latents, actions, rewards, terminals = latent_arrays([20])
        with pytest.raises(DataError, match="rewards has 19 rows and latents_arr 20"):
            LatentSequenceDataset(latents, actions, rewards[:-1], terminals, seq_len=4)
        with pytest.raises(DataError, match="actions has shape"):
            LatentSequenceDataset(latents, actions[:, 0], rewards, terminals, seq_len=4)
        with pytest.raises(DataError, match="episode_lengths sum to 19"):
            LatentSequenceDataset(latents, actions, rewards, terminals, seq_len=4, episode_lengths=[9, 10])
        with pytest.raises(DataError, match=r"21 steps.*longest has 20"):
            LatentSequenceDataset(latents, actions, rewards, terminals, seq_len=20)


def test_a_rollout_whose_frames_are_no_pictures_is_refused_with_its_name(tmp_path: Path) -> None:
    write_rollout(tmp_path / "rollout_0.npz", counting_rollout(3))
    arrays = {"actions": np.zeros((3, 2), np.float32), "rewards": np.zeros(3, np.float32)}
    frames = np.zeros((3, 64, 64, 2), np.uint8)
    np.savez(tmp_path / "rollout_1.npz", observations=frames, terminals=arrays["rewards"], **arrays)
    with pytest.raises(DataError, match=r"rollout_1\.npz.*\(3, 64, 64, 2\).*64"):
        len(RolloutDataset(tmp_path))
