"""How forged's panels ask, and the colours of their values."""

from __future__ import annotations

from tests.grafana.panels import Ask, Look, Panel, Steps, Words

OF = 'instance=~"$instance",target=~"$target"'
ALL = 'instance=~"$instance"'
RATE = "$__rate_interval"

FREE: Steps = (("red", None), ("orange", 10e9), ("green", 50e9))
WAIT: Steps = (("green", None), ("orange", 900.0), ("red", 14_400.0))
BAD: Steps = (("green", None), ("red", 1.0))
DOUBTFUL: Steps = (("green", None), ("orange", 1.0))
CALM: Steps = (("blue", None),)
YES: Words = (("1", "yes", "green"), ("0", "no", "red"))
RARELY: Words = (("1", "yes", "orange"), ("0", "no", "text"))


def of(name: str, **labels: str) -> str:
    """A metric of the chosen targets."""
    return name + "{" + ",".join([OF, *(f'{label}="{value}"' for label, value in labels.items())]) + "}"


def daemon(name: str, **labels: str) -> str:
    """A metric of the chosen daemons."""
    return name + "{" + ",".join([ALL, *(f'{label}="{value}"' for label, value in labels.items())]) + "}"


def pace(name: str, by: str = "target") -> str:
    """How much a second, of a counter."""
    return f"sum by ({by}) (rate({of(name)}[{RATE}]))"


def quantile(share: float, name: str, by: str = "") -> str:
    """The value below which this share of a histogram is."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({of(name + '_bucket')}[{RATE}])))"


def stat(title: str, why: str, expr: str, unit: str = "short", *, steps: Steps = CALM, spark: bool = False) -> Panel:
    """One number. `spark`: with its course behind it."""
    return Panel(title, Look.STAT, why, (Ask(expr),), width=4, height=4, unit=unit, steps=steps, spark=spark)


def lines(
    title: str,
    why: str,
    *asks: Ask,
    unit: str = "short",
    width: int = 8,
    height: int = 7,
    stacked: bool = False,
    bars: bool = False,
    least: float | None = 0,
) -> Panel:
    """A graph over time."""
    return Panel(title, Look.LINES, why, asks, width, height, unit, stacked=stacked, bars=bars, least=least)
