"""MLflow."""

import math
import os
import time
from collections.abc import Mapping
from typing import Any

from .base import LoggedRun, RunLogger

_TAG = "avslowfast.run"
# Most parameters of one request, and characters of one value.
_REQUEST, _LONGEST = 100, 6000
# A server that does not answer must not hold up a training for long; MLflow's own waits are minutes.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


class MlflowLogger(RunLogger):
    """Logs to MLflow: a run that is tagged with the id of the training, which a resumed one therefore finds again.

    It goes to MLFLOW.TRACKING_URI, else to $MLFLOW_TRACKING_URI, else to the folder OUTPUT_DIR/mlruns.

    Args:
        options: The node MLFLOW: TRACKING_URI, EXPERIMENT.
        run: What is logged; what was logged before is not logged again.
    """

    def __init__(self, options: Mapping[str, Any], run: LoggedRun) -> None:
        super().__init__(options, run)
        for name, value in _PATIENCE.items():
            os.environ.setdefault(name, value)
        folder = os.path.join(run.output_dir, "mlruns")
        address = options["TRACKING_URI"] or os.environ.get("MLFLOW_TRACKING_URI") or folder
        if "://" not in address:
            # MLflow wants folders to be allowed; a database needs the whole package.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        # The package's types are not complete.
        self._client: Any = MlflowClient(tracking_uri=address)
        experiment = self._client.get_experiment_by_name(options["EXPERIMENT"])
        number = experiment.experiment_id if experiment else self._client.create_experiment(options["EXPERIMENT"])
        found = self._client.search_runs([number], f"tags.`{_TAG}` = '{run.id}'", max_results=1)
        self._logged: dict[str, int] = {}
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            for name in found[0].data.metrics:
                history = self._client.get_metric_history(self._id, name)
                self._logged[name] = max(metric.step for metric in history)
        else:
            tags = {_TAG: run.id}
            name = os.path.basename(run.output_dir)
            self._id = self._client.create_run(number, tags=tags, run_name=name).info.run_id
            self._log_parameters(run.configuration)

    def _log_parameters(self, configuration: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        # MLflow takes no empty value from some servers.
        params = [Param(name, str(value)[:_LONGEST] or "''") for name, value in configuration.items()]
        for begin in range(0, len(params), _REQUEST):
            self._client.log_batch(self._id, params=params[begin : begin + _REQUEST])

    def write_scalars(self, scalars: Mapping[str, float], step: int, epoch: float) -> None:
        """See `RunLogger.write_scalars`; values that are not finite, which MLflow's servers refuse, are left out."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        metrics = [
            Metric(name, value, now, step)
            for name, value in scalars.items()
            if math.isfinite(value) and step > self._logged.get(name, -1)
        ]
        if metrics:
            self._client.log_batch(self._id, metrics=metrics)
            self._logged.update({metric.key: step for metric in metrics})

    def close(self, finished: bool) -> None:
        """See `RunLogger.close`."""
        self._client.set_terminated(self._id, status="FINISHED" if finished else "KILLED")
