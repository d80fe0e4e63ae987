"""Planes of all weights of a trained network: random ones, one through three minima, and those of trajectories."""

from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxland.landscape import (
    InPlane,
    Plane,
    PrincipalPlane,
    Surface,
    features_table,
    in_plane,
    plane_losses,
    plane_through,
    random_plane,
    sort_units,
    surface,
    surface_features,
    trajectory_plane,
)
from jaxland.networks import Network, entry_indices, mlp
from jaxland.plots import (
    animate,
    descent_contours,
    explained_variance,
    new_figure,
    surface_contours,
    surface_paths,
)
from jaxland.problems import Objective, Problem
from jaxland.replications.surfaces.config import SurfacesConfig
from jaxland.replications.surfaces.landscape import available, costs
from jaxland.replications.surfaces.statements import STATEMENTS
from jaxland.replications.surfaces.weights import source_weights
from jaxland.studies import Analysis, Claim, Context, Findings
from jaxland.training import Adam, make_optimizer

# A plane goes through three points.
_MINIMA = 3
# Planes are drawn from a grid so many times finer than that of which tables tell.
_FINER = 3
# Points of a straight line between two minima.
_LINE = 61


@dataclass(frozen=True)
class PlanesSettings:
    """Scale of the planes."""

    steps: int = 400
    """Steps in which all weights are trained, by adam."""
    rate: float = 0.003
    """Its learning rate."""
    snapshots: int = 40
    """Points kept of a trajectory."""
    grid: int = 31
    """Points along each axis of a plane."""
    reach: float = 1.0
    """Half the side of a random plane, in norms of the filters."""
    frames: int = 32
    """Of the animation, about."""
    all_epochs: int = 100
    """Epochs of the document's descent with all weights free."""
    seed: int = 0
    """Of the fits and of the random directions."""


class Trained(NamedTuple):
    """Fits of the whole network."""

    network: Network
    objective: Objective
    steps: np.ndarray
    """At which points of the trajectories were kept (S,)."""
    trajectories: Float[np.ndarray, "M S P"]
    loss: Float[np.ndarray, "M"]

    @property
    def minima(self) -> Float[np.ndarray, "M P"]:
        """Where the trajectories end."""
        return self.trajectories[:, -1]


def find(context: Context) -> Findings:
    """Trains, then looks about."""
    settings: PlanesSettings = context.settings
    trained = _trained(context)
    context.say("  planes about minima, through minima, and of trajectories")
    about = [_about(trained, index, settings) for index in range(_MINIMA)]
    sorted_minima = sort_units(trained.network.spec.symmetry, trained.minima)
    through = {
        "as trained": _through(trained, trained.minima, settings),
        "sorted": _through(trained, sorted_minima, settings),
    }
    principal = [trajectory_plane(path) for path in trained.trajectories]
    seen = [
        in_plane(trained.objective, each.plane, path)
        for each, path in zip(principal, trained.trajectories, strict=True)
    ]
    shown = _around(trained.objective, principal[0].plane, principal[0].coordinates, settings.grid)
    figures = {
        "planes-random": _random_figure(about),
        "planes-three-minima": _minima_figure(through),
        "planes-trajectory": _trajectory_figure(trained, principal, seen, shown),
    }
    barriers = _barriers({"as trained": trained.minima, "sorted": sorted_minima}, trained.objective)
    tables = {
        "planes.csv": _table(about, through),
        "planes-barriers.csv": barriers,
        "planes-trajectories.csv": _trajectories(trained, principal, seen),
        "planes-variance.csv": _variance(principal),
    }
    film = _film(trained, principal[0], seen[0], shown, settings.frames)
    animations = {"planes-trajectory.gif": film}
    captions = _captions(principal, about, barriers, seen)
    return Findings(tables, figures, [_moves(context)], animations, captions=captions)


def _problem(config: SurfacesConfig) -> tuple[Network, Problem]:
    """A network of the document's widths with Glorot's weights: from the document's own it does not learn."""
    pictures = available(config, config.samples)
    widths = [pictures.pixels.shape[1], *config.hidden, pictures.classes]
    return mlp(widths, "sigmoid", output_activation="sigmoid", bias=False), pictures.problem()


def _trained(context: Context) -> Trained:
    config: SurfacesConfig = context.config
    settings: PlanesSettings = context.settings
    network, problem = _problem(config)
    steps = np.unique(np.linspace(0, settings.steps, settings.snapshots).astype(int))

    def train():
        fits = context.fit(
            network,
            problem,
            make_optimizer(Adam(settings.rate)),
            fits=_MINIMA,
            steps=settings.steps,
            seed=settings.seed,
            dtype="float32",
            snapshots=steps.tolist(),
        )
        return {"trajectories": fits.snapshots, "loss": fits.loss}

    context.say(f"  training all {network.size:,} weights of {_MINIMA} networks, {settings.steps:,} steps")
    kept = context.piece("trained", train)
    return Trained(network, problem.objective(network), steps, kept["trajectories"].astype(np.float64), kept["loss"])


def _about(trained: Trained, index: int, settings: PlanesSettings) -> Surface:
    """The surface on a random plane through a minimum, filter-normalised."""
    plane = random_plane(trained.network, trained.minima[index], seed=settings.seed + index)
    axis = np.linspace(-settings.reach, settings.reach, _points(settings.grid))
    return surface(trained.objective, plane, axis, axis)


def _points(grid: int) -> int:
    return _FINER * (grid - 1) + 1


def _told(each: Surface) -> Surface:
    """A surface on the grid of the settings, of that which is drawn."""
    loss = each.loss[::_FINER, ::_FINER]
    return each._replace(a=each.a[::_FINER], b=each.b[::_FINER], loss=loss, masked=int(np.isnan(loss).sum()))


def _around(objective: Objective, plane: Plane, places: Float[np.ndarray, "M 2"], grid: int) -> Surface:
    """The surface on a window that holds all places, with a margin."""
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.25 * (high - low).max()
    a, b = (np.linspace(one - margin, two + margin, _points(grid)) for one, two in zip(low, high, strict=True))
    return surface(objective, plane, a, b)


def _through(trained: Trained, minima: Float[np.ndarray, "3 P"], settings: PlanesSettings):
    """The surface through three minima, and where they lie on it."""
    plane = plane_through(minima)
    places = plane.coordinates(minima)
    return _around(trained.objective, plane, places, settings.grid), places


def _random_figure(about: list[Surface]) -> Figure:
    figure, axes = new_figure(len(about), height=2.4)
    span = _span(about)
    figure.suptitle("Random planes about trained networks, and how much of the range is above the convex envelope")
    for index, (ax, each) in enumerate(zip(axes, about, strict=True)):
        features = surface_features(_told(each).loss)
        title = f"Network {index}: {features.nonconvexity:.1%}"
        # One bar for all.
        zlabel = "cost" if index == len(about) - 1 else None
        surface_contours(
            each.a, each.b, each.loss, title=title, labels=each.plane.labels, zlabel=zlabel, span=span, ax=ax
        )
        ax.plot(0, 0, "v", color="white", mec="black", ms=6)
    return figure


def _minima_figure(through) -> Figure:
    figure, axes = new_figure(len(through), height=2.9)
    span = _span([each for each, _ in through.values()])
    for ax, (name, (each, places)) in zip(axes, through.items(), strict=True):
        title = f"Through three trained networks, {name}"
        labels = ("distance towards the second", "distance from that line")
        surface_contours(each.a, each.b, each.loss, title=title, labels=labels, zlabel="cost", span=span, ax=ax)
        # What is lowest on the plane need not be what was trained.
        ax.plot(*places.T, "v", color="white", mec="black", ms=6, lw=0, label="trained networks")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
    return figure


def _span(surfaces: list[Surface]) -> tuple[float, float]:
    """Lowest and highest cost of all: they are drawn in one scale."""
    lowest = min(float(np.nanmin(each.loss)) for each in surfaces)
    return lowest, max(float(np.nanmax(each.loss)) for each in surfaces)


def _trajectory_figure(
    trained: Trained, principal: list[PrincipalPlane], seen: list[InPlane], shown: Surface
) -> Figure:
    figure, (above, curves, shares) = new_figure(3, height=2.3)
    first, second = (f"direction {number}: {share:.1%}" for number, share in enumerate(principal[0].explained[:2], 1))
    labels = first, second
    surface_contours(shown.a, shown.b, shown.loss, title="Trajectory of fit 0", labels=labels, zlabel="cost", ax=above)
    surface_paths(seen[0].coordinates[None], ["adam"], ax=above)
    for index, each in enumerate(seen):
        curves.plot(trained.steps, each.loss, color=f"C{index}", lw=1.2, label=f"fit {index}")
        curves.plot(trained.steps, each.plane_loss, ":", color=f"C{index}", lw=1.6)
    curves.plot([], [], ":", color="black", lw=1.6, label="as its plane shows it")
    curves.set(title="True and in-plane cost", xlabel="step", ylabel="cost", yscale="log")
    curves.legend()
    most = min(len(each.explained) for each in principal)
    names = [f"fit {index}" for index in range(len(principal))]
    explained_variance(np.stack([each.explained[:most] for each in principal]), names, ax=shares)
    return figure


def _film(trained: Trained, principal: PrincipalPlane, seen: InPlane, shown: Surface, frames: int) -> bytes:
    indices = np.unique(np.linspace(0, len(trained.steps) - 1, frames).astype(int)).tolist()
    figure, draw = descent_contours(
        shown.a,
        shown.b,
        shown.loss,
        trained.steps.tolist(),
        seen.coordinates[None],
        seen.loss[None],
        ["all weights, adam"],
        in_plane=seen.plane_loss[None],
        title=f"Principal plane: {principal.explained[:2].sum():.0%} of the variance",
        labels=principal.plane.labels,
        zlabel="cost",
    )
    return animate(figure, draw, indices)


def _table(about: list[Surface], through) -> pd.DataFrame:
    surfaces = {f"random, minimum {index}": each for index, each in enumerate(about)}
    surfaces |= {f"three minima, {name}": each for name, (each, _) in through.items()}
    surfaces = {name: _told(each) for name, each in surfaces.items()}
    table = features_table(surface_features(each.loss) for each in surfaces.values())
    table.insert(0, "plane", list(surfaces))
    table.insert(1, "lowest", [np.nanmin(each.loss) for each in surfaces.values()])
    return table


def _barriers(kinds: dict[str, np.ndarray], objective: Objective) -> pd.DataFrame:
    """Costs along straight lines between minima."""
    rows = []
    share = np.linspace(0, 1, _LINE)
    for name, minima in kinds.items():
        plane = plane_through(minima)
        places = plane.coordinates(minima)
        for one, two in combinations(range(_MINIMA), 2):
            line = places[one] + share[:, None] * (places[two] - places[one])
            cost = plane_losses(objective, plane, line)
            row = {"units": name, "from": one, "to": two, "distance": np.linalg.norm(places[two] - places[one])}
            rows.append({**row, "first": cost[0], "last": cost[-1], "highest": cost.max()})
    return pd.DataFrame(rows)


def _trajectories(trained: Trained, principal: list[PrincipalPlane], seen: list[InPlane]) -> pd.DataFrame:
    frames = []
    for index, (plane, each) in enumerate(zip(principal, seen, strict=True)):
        columns = {
            "fit": index,
            "step": trained.steps,
            "first": each.coordinates[:, 0],
            "second": each.coordinates[:, 1],
        }
        columns |= {"true_cost": each.loss, "in_plane_cost": each.plane_loss, "distance": each.distance}
        frames.append(pd.DataFrame({**columns, "explained_by_plane": plane.explained[:2].sum()}))
    return pd.concat(frames, ignore_index=True)


def _variance(principal: list[PrincipalPlane]) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "fit": index,
                "direction": np.arange(1, len(each.explained) + 1),
                "share": each.explained,
                "share_of_random_walk": 6 / (np.pi * np.arange(1, len(each.explained) + 1)) ** 2,
            }
        )
        for index, each in enumerate(principal)
    ]
    return pd.concat(frames, ignore_index=True)


def _moves(context: Context) -> Claim:
    """How far the two weights go alone, and in company."""
    config, settings = context.config, context.settings
    seed, epochs = config.weights[0], settings.all_epochs
    cost = costs(config, config.samples)
    free = entry_indices(cost.network, config.entries)
    start = source_weights(cost.network, seed)
    start[free] = -9, 15
    optimizer = make_optimizer(config.sgd)
    problem = available(config, config.samples).problem()
    pair = config.pair(seed, cost.samples)

    def descended(network: Network, data: Problem, start: Float[np.ndarray, "_"]) -> dict[str, np.ndarray]:
        fits = context.fit(network, data, optimizer, steps=epochs, dtype="float64", start=start[None])
        # Of all weights, the two that are free in both.
        return {"params": fits.params[:, free] if network is cost.network else fits.params, "loss": fits.loss}

    context.say("  the document's descent with all weights free")
    one = context.piece("alone", partial(descended, pair.network(*config.window), pair.problem(), start[free]))
    all_ = context.piece("together", partial(descended, cost.network, problem, start))
    alone, among = (float(np.linalg.norm(each["params"][0] - start[free])) for each in (one, all_))
    claim = minor_claim(alone, among)
    return claim._replace(
        detail=f"from (-9, 15), {epochs:,} epochs at rate {2 * config.sgd.learning_rate:g}, weights of seed {seed}, on "
        f"{config.name_of_data}; with all {cost.network.size:,} weights free the cost comes to {all_['loss'][0]:.4f} "
        f"instead of {one['loss'][0]:.4f}"
    )


def minor_claim(alone: float, among: float) -> Claim:
    """Of how far two weights move alone, and among all."""
    measured = f"they move by {alone:.2f} alone and by {among:.3f} among all"
    return STATEMENTS["minor-adjustments"].claim(measured, among / alone)


def _captions(
    principal: list[PrincipalPlane], about: list[Surface], barriers: pd.DataFrame, seen: list[InPlane]
) -> dict[str, str]:
    heights = [surface_features(_told(each).loss).nonconvexity for each in about]
    highest = barriers.groupby("units", sort=False)["highest"].agg(["min", "max"])
    rises = ", ".join(f"{units} to {row['min']:.2f} to {row['max']:.2f}" for units, row in highest.iterrows())
    share = principal[0].explained[:2].sum()
    trajectory = (
        f"The path of all weights in training, on the plane of its first two principal directions, which hold "
        f"{share:.0%} of its variance: at the start the cost is {seen[0].loss[0]:.2f} and the plane shows "
        f"{seen[0].plane_loss[0]:.2f}."
    )
    return {
        "planes-random": "The cost of all weights on random planes about three trained networks: at most "
        f"{max(heights):.1%} of the range above the convex envelope.",
        "planes-three-minima": "The cost on planes through three trained networks: straight lines between them rise, "
        f"{rises}.",
        "planes-trajectory": trajectory,
    }


ANALYSIS = Analysis(
    quick=PlanesSettings(),
    paper=PlanesSettings(steps=2000, snapshots=120, grid=51, frames=48, all_epochs=1000),
    find=find,
)
