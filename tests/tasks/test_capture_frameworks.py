"""Training steps captured as they are taken: by plain code, Lightning, Opacus, Flower and NVFlare."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

import gifd_bench as gb
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.observation import Observation
from tests.tasks.test_capture import MEAN, STD, backward, batch, net, values


def inputs_of(images: Tensor) -> Tensor:
    return (images - 0.5) / 0.25


def assert_explains(observation: Observation, tolerance: float = 1e-5) -> None:
    """The described client would have sent what was sent."""
    images, labels = batch()
    again = SimulatedClient(observation, torch.device("cpu")).update(images, labels)
    for mine, sent in zip(again, observation.update.values(), strict=True):
        torch.testing.assert_close(mine.detach(), sent, atol=tolerance, rtol=1e-3)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=1e-3),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("steps", [1, 3])
def test_steps_of_every_optimizer_are_captured_and_unrolled(name: str, steps: int) -> None:
    # Before a BatchNorm in training mode a bias has a gradient of rounding alone, which Adam makes large.
    model = net(batch_norm="adam" not in name).train()
    optimizer = OPTIMIZERS[name](model.parameters())
    images, labels = batch()
    with gb.capture(model) as update:
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs_of(images)), labels).backward()
            optimizer.step()
        optimizer.zero_grad()
    after = {name: value.clone() for name, value in model.state_dict().items()}
    for send in ("gradient", "difference"):
        observation = update.observation(send=send, batch_size=2, mean=MEAN, std=STD)
        assert observation.is_difference == (send == "difference")
        assert observation.model.image_size == 8
        assert_explains(observation, 1e-4)
    # The model is as the user's code has left it.
    assert model.training
    assert all(torch.equal(value, after[name]) for name, value in model.state_dict().items())


def test_a_scaled_accumulated_and_clipped_gradient_is_that_which_the_step_uses() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images, labels = batch()
    with gb.capture(model) as update:
        for image, label in zip(images.split(1), labels.split(1), strict=True):
            (1024 * F.cross_entropy(model(inputs_of(image)), label) / 2).backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.grad /= 1024
        optimizer.step()
        optimizer.zero_grad()
    observation = update.observation(mean=MEAN, std=STD)
    assert observation.batch_size == 2
    assert_explains(observation)


def test_a_gradient_without_a_step_even_where_it_was_zeroed() -> None:
    model = net()
    images, labels = batch()
    for zeroed in (False, True):
        model.zero_grad()
        with gb.capture(model) as update:
            F.cross_entropy(model(inputs_of(images)), labels).backward()
            if zeroed:
                model.zero_grad()
        assert_explains(update.observation(mean=MEAN, std=STD))
    with gb.capture(model) as nothing:
        pass
    with pytest.raises(TaskError, match="no gradient was captured"):
        nothing.observation(image_size=8, batch_size=1)


class Module(pl.LightningModule):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        images, labels = batch
        return F.cross_entropy(self.network(images), labels)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.5)


@pytest.mark.parametrize("batches", [1, 2])
def test_lightnings_own_loop(batches: int) -> None:
    images, labels = batch()
    data = DataLoader(TensorDataset(inputs_of(images), labels), batch_size=2)
    callback = gb.CaptureCallback(first=0, batches=batches)
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[callback],
    )
    trainer.fit(Module(net(batch_norm=True)), data)
    observation = callback.captured.observation(batch_size=2, mean=MEAN, std=STD)
    assert observation.is_difference == (batches == 2)
    assert_explains(observation)


def test_a_step_of_opacus() -> None:
    from opacus import PrivacyEngine  # type: ignore[import-untyped]

    images, labels = batch()
    original = net().train()
    model, optimizer, data = PrivacyEngine().make_private(
        module=original,
        optimizer=torch.optim.SGD(original.parameters(), lr=0.05),
        data_loader=DataLoader(TensorDataset(inputs_of(images), labels), batch_size=2),
        noise_multiplier=0.0,
        max_grad_norm=1e6,
        poisson_sampling=False,
    )
    with gb.capture(model) as update:
        for its_images, its_labels in data:
            F.cross_entropy(model(its_images), its_labels).backward()
            optimizer.step()
    known = gb.opacus_defense(optimizer)
    assert known.parameters == {"bound": 1e6, "noise_multiplier": 0.0}
    # It has no noise and a bound that nothing reaches: the plain gradient.
    assert_explains(update.observation(batch_size=2, mean=MEAN, std=STD, defenses=(known,)))
    with pytest.raises(TaskError, match="optimizer of Opacus"):
        gb.opacus_defense(torch.optim.SGD(original.parameters()))


def trained(model: nn.Module) -> nn.Module:
    images, labels = batch()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    F.cross_entropy(model(inputs_of(images)), labels).backward()
    optimizer.step()
    return model


CLIENT = gb.ClientSettings(gb.FedAvg(1, 2, 0.1))


def test_flowers_numpy_client() -> None:
    common = pytest.importorskip("flwr.common", reason="needs the extra `flower`")
    client_module = pytest.importorskip("flwr.client")
    server = net()

    class Client(client_module.NumPyClient):  # type: ignore[misc, name-defined]
        def fit(self, parameters: Any, config: Any) -> Any:
            model = net()
            state = dict(zip(model.state_dict(), map(torch.tensor, parameters), strict=True))
            model.load_state_dict(state)
            return [value.numpy() for value in trained(model).state_dict().values()], 2, {}

    sent = [value.numpy() for value in server.state_dict().values()]
    encoded = common.ndarrays_to_parameters(sent)
    answer = Client().fit(common.parameters_to_ndarrays(encoded), {})
    fit_res = common.FitRes(
        common.Status(common.Code.OK, ""), common.ndarrays_to_parameters(answer[0]), answer[1], {}
    )
    for before, reply in ((sent, answer), (encoded, answer), (encoded, fit_res)):
        observation = gb.from_flower(net(), before, reply, image_size=8, mean=MEAN, std=STD, client=CLIENT)
        assert observation.batch_size == 2
        assert_explains(observation)


def test_flowers_messages_are_seen_by_a_mod(monkeypatch: pytest.MonkeyPatch) -> None:
    app = pytest.importorskip("flwr.app", reason="needs the extra `flower`")
    clientapp = pytest.importorskip("flwr.clientapp")
    seen: list[tuple[Any, Any]] = []
    client = clientapp.ClientApp(mods=[gb.flower_mod(lambda sent, reply: seen.append((sent, reply)))])

    @client.train()  # type: ignore[untyped-decorator]
    def train(message: Any, context: Any) -> Any:
        model = net()
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        content = app.RecordDict(
            {
                "arrays": app.ArrayRecord(trained(model).state_dict()),
                "metrics": app.MetricRecord({"num-examples": 2}),
            }
        )
        return app.Message(content=content, reply_to=message)

    # What Flower's own processes say of themselves before they run an app.
    identity = pytest.importorskip("flwr.supercore.task_identity").TaskIdentity
    for name in ("_task_id", "_run_id", "_node_id"):
        monkeypatch.setattr(identity, name, 1)
    server = net()
    content = app.RecordDict({"arrays": app.ArrayRecord(server.state_dict())})
    context = app.Context(run_id=1, node_id=1, node_config={}, state=app.RecordDict(), run_config={})
    message = app.Message(content=content, dst_node_id=1, message_type="train")
    client(message, context)
    assert len(seen) == 1
    observation = gb.from_flower(net(), *seen[0], image_size=8, mean=MEAN, std=STD, client=CLIENT)
    assert observation.batch_size == 2
    assert_explains(observation)


@pytest.mark.parametrize("kind", ["FULL", "DIFF"])
def test_nvflares_models(kind: str) -> None:
    models = pytest.importorskip("nvflare.app_common.abstract.fl_model", reason="needs the extra `nvflare`")
    server = net()
    before = {name: value.numpy().copy() for name, value in server.state_dict().items()}
    after = {name: value.numpy() for name, value in trained(copy.deepcopy(server)).state_dict().items()}
    params = after if kind == "FULL" else {name: after[name] - before[name] for name in after}
    received = models.FLModel(params=before, params_type=models.ParamsType.FULL)
    result = models.FLModel(params=params, params_type=models.ParamsType[kind])
    observation = gb.from_nvflare(
        net(), received, result, batch_size=2, image_size=8, mean=MEAN, std=STD, client=CLIENT
    )
    assert_explains(observation)


def test_the_gradients_of_a_flower_client_need_no_flower() -> None:
    gradients = backward(net())
    observation = Observation.from_gradients(
        net(),
        [value.numpy() for value in values(gradients)],
        batch_size=2,
        image_size=8,
        mean=MEAN,
        std=STD,
    )
    assert_explains(observation)
