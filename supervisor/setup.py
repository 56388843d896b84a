"""First-time setup of a home: directories, client, wrappers, default policies.

Never overwrites what the operator made; run again, it only adds what is missing.
"""

from __future__ import annotations

import shutil

from supervisor.assets import default_policies
from supervisor.home import Home
from supervisor.wrappers import install_client, install_wrapper, is_free_name


def prepare_home(home: Home) -> list[str]:
    """Make the home ready to start in. Returns what was done, one sentence each.

    Default policies are copied only into a home that was never set up, and never over a file that is there: a
    policy that the operator removed stays removed. Raises `ClaudeContainerError` when it cannot be done.
    """
    first_time = not (home.config.exists() and home.state.exists())
    home.create()
    done = [f"Set up {home.root}."] if first_time else []
    if first_time:  # before the client: where that is missing, the next run is not the first any more
        for policy in default_policies():
            if (home.config / policy.name).exists():
                continue
            shutil.copyfile(policy, home.config / policy.name)
            done.append(f"Wrote the default policy {home.config / policy.name}.")
    if install_client(home):
        done.append(f"Installed plugin-client in {home.cli}.")
    done += [
        f"Made the wrapper {home.cli / policy.stem}."
        for policy in sorted(home.config.glob("*.yaml"))
        if is_free_name(policy.stem) and install_wrapper(home, policy.stem)
    ]
    return done
