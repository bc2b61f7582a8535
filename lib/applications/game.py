"""A small game, and an agent that learns to play it: a ball falls, a paddle must catch it, and a
cloud drifts past for no reason.

The board has 12 x 12 squares. The ball falls one square a step and may also go one to the left or
right; at a wall it turns back. The paddle, three squares wide, is in the lowest row and goes left,
stays or goes right. When the ball arrives there the reward is 1 if the paddle is under it and -1 if
not, and a new ball starts at the top. The agent sees the board of this step and of the one before.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..models.networks import WEIGHTS, game_network

SIZE = 12
#: What is on a board, by number.
THINGS = ("ball", "paddle", "cloud")


@dataclass(frozen=True, eq=False)
class Game:
    """N boards at one step.

    ball, cloud: (N, 2), row and column.
    drift: (N,), of the ball, in -1..1.
    paddle: (N,), the column of its middle.
    before: (N, 3, 12, 12) bool, where the three `THINGS` were one step ago.
    """

    ball: Tensor
    drift: Tensor
    paddle: Tensor
    cloud: Tensor
    before: Tensor

    @property
    def things(self) -> Tensor:
        """Where each of the three `THINGS` is: (N, 3, 12, 12) bool."""
        row, column = torch.arange(SIZE)[:, None], torch.arange(SIZE)

        def square(place: Tensor, down: int, right: int) -> Tensor:
            top, left = place[:, :1, None], place[:, 1:, None]
            return (row >= top) & (row <= top + down) & (column >= left) & (column <= left + right)

        paddle = torch.stack([torch.full_like(self.paddle, SIZE - 1), self.paddle - 1], 1)
        return torch.stack(
            [square(self.ball, 0, 0), square(paddle, 0, 2), square(self.cloud, 0, 1)], 1
        )

    @property
    def seen_things(self) -> Tensor:
        """The same on both boards that the agent sees, one step before and now: (N, 3, 2, 12, 12)
        bool.
        """
        return torch.stack([self.before, self.things], 2)

    @property
    def boards(self) -> Tensor:
        """What the agent sees: (N, 2, 12, 12), the step before and this one; 1 where anything is,
        else 0.
        """
        return self.seen_things.any(1).float()


def new_games(n: int, seed: int) -> Game:
    """N games, each at a random step: the ball is anywhere above the paddle.

    >>> new_games(4, seed=0).boards.shape
    torch.Size([4, 2, 12, 12])
    """
    draw = torch.Generator().manual_seed(seed)

    def whole(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (n,), generator=draw)

    ball, drift = torch.stack([whole(0, SIZE - 2), whole(0, SIZE)], 1), whole(-1, 2)
    cloud = torch.stack([whole(2, SIZE - 3), whole(0, SIZE - 1)], 1)
    game = Game(
        ball, drift, whole(1, SIZE - 1), cloud, torch.zeros(n, 3, SIZE, SIZE, dtype=torch.bool)
    )
    return play(replace(game, before=game.things), torch.ones(n, dtype=torch.long), draw)[0]


def play(game: Game, action: Tensor, draw: torch.Generator) -> tuple[Game, Tensor]:
    """One step of all games.

    action: (N,), 0 left, 1 stay, 2 right.
    draw: what chance decides, where new balls start and where the cloud drifts.

    Returns the games after it and the reward (N,): 1, -1, or 0 in mid-air.

    >>> games = new_games(4, seed=0)
    >>> stay, draw = torch.ones(4, dtype=torch.long), torch.Generator().manual_seed(0)
    >>> after, reward = play(games, stay, draw)
    >>> reward.shape
    torch.Size([4])
    """
    n, before = len(action), game.things
    paddle = (game.paddle + action - 1).clamp(1, SIZE - 2)
    column, drift = game.ball[:, 1] + game.drift, game.drift
    drift = torch.where((column < 0) | (column >= SIZE), -drift, drift)
    ball = torch.stack([game.ball[:, 0] + 1, game.ball[:, 1] + drift], 1)
    landed = ball[:, 0] == SIZE - 1
    reward = torch.where(landed, torch.where((ball[:, 1] - paddle).abs() <= 1, 1.0, -1.0), 0.0)
    top = torch.stack(
        [torch.zeros(n, dtype=torch.long), torch.randint(0, SIZE, (n,), generator=draw)], 1
    )
    drift = torch.where(landed, torch.randint(-1, 2, (n,), generator=draw), drift)
    moved = game.cloud + torch.randint(-1, 2, (n, 2), generator=draw)
    cloud = torch.stack([moved[:, 0].clamp(2, SIZE - 4), moved[:, 1].clamp(0, SIZE - 2)], 1)
    return Game(torch.where(landed[:, None], top, ball), drift, paddle, cloud, before), reward


@torch.no_grad()
def caught(agent: nn.Module, games: int = 200, steps: int = 55, seed: int = 0) -> float:
    """The share of the balls, in [0, 1], that an agent catches that always takes the action with
    the highest score.

    >>> 0 <= caught(game_network(), games=20, steps=20) <= 1
    True
    """
    draw, game, every = torch.Generator().manual_seed(seed), new_games(games, seed), []
    for _ in range(steps):
        game, reward = play(game, agent(game.boards).argmax(1), draw)
        every.append(reward)
    rewards = torch.stack(every)
    return ((rewards == 1).sum() / (rewards != 0).sum()).item()


def learn(
    agent: nn.Module,
    steps: int,
    seed: int = 0,
    games: int = 64,
    batch: int = 256,
    discount: float = 0.9,
    memory: int = 400,
) -> Iterator[int]:
    """Q-learning in place (Mnih et al., 2015); yields the number of steps taken, before each step.

    The score of an action is to be the reward plus `discount` times the highest score after it, as
    an older copy of the agent sees it.

    games: boards that are played side by side.
    batch: boards that are learned from in each step.
    memory: how many of the last steps are remembered; from them samples are taken in random order.

    >>> list(learn(game_network(), steps=3))
    [0, 1, 2]
    """
    draw, game = torch.Generator().manual_seed(seed), new_games(games, seed)
    optimizer, older = torch.optim.Adam(agent.parameters(), 1e-3), game_network()
    seen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for step in range(steps):
        yield step
        if step % 100 == 0:
            older.load_state_dict(agent.state_dict())
        curiosity = max(0.05, 1 - step / 1500)  # the share of the actions that are taken at random
        with torch.no_grad():
            action = agent(game.boards).argmax(1)
        chance = torch.randint(0, 3, (games,), generator=draw)
        action = torch.where(torch.rand(games, generator=draw) < curiosity, chance, action)
        after, reward = play(game, action, draw)
        seen = [*seen, (game.boards, action, reward, after.boards)][-memory:]
        game = after
        chosen = torch.randint(0, len(seen), (batch // games,), generator=draw).tolist()
        boards, action, reward, later = (
            torch.cat(parts) for parts in zip(*(seen[k] for k in chosen))
        )
        with torch.no_grad():
            goal = reward + discount * older(later).amax(1) * (reward == 0)
        loss = F.smooth_l1_loss(agent(boards).gather(1, action[:, None])[:, 0], goal)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def stages() -> dict[int, nn.Module]:
    """The agent at several times of its training, by the number of steps taken: the committed
    weights of `tools/train.py game`.

    >>> min(stages())
    0
    """
    from safetensors.torch import load_file

    stored = load_file(WEIGHTS / "game.safetensors")
    agents: dict[int, nn.Module] = {}
    for k, step in enumerate(stored.pop("steps").tolist()):
        agent = game_network()
        agent.load_state_dict({name: values[k] for name, values in stored.items()})
        agents[step] = agent.eval()
    return agents
