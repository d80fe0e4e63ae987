"""Nothing that is read back is run: who may write to a study directory can change numbers in it and nothing else."""

import ast
from pathlib import Path

import jaxland

PACKAGE = Path(jaxland.__file__).parent
# The file of a study is code, whoever names it; what is pickled goes from a process to its own workers.
MAY_RUN = {
    "studies/finding.py": {"exec"},
    "execution/processes.py": {"pickle.loads"},
    "studies/fitting.py": {"pickle.loads"},
}
RUNS = {"eval", "exec", "__import__", "pickle.load", "pickle.loads", "os.system", "os.popen"}
READERS = ("yaml", "marshal", "shelve", "joblib", "cloudpickle.load", "dill")


def _running(call):
    """What of a call runs what it is given, or None."""
    name = ast.unparse(call.func)
    if name in RUNS or name.startswith(READERS) or any(each.arg == "shell" for each in call.keywords):
        return name
    permitted = any(each.arg == "allow_pickle" and ast.unparse(each.value) == "False" for each in call.keywords)
    return name if name in ("np.load", "numpy.load") and not permitted else None


def _found(text):
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return {name for name in map(_running, calls) if name is not None}


def test_no_code_reads_what_it_then_runs():
    found = {str(file.relative_to(PACKAGE)): _found(file.read_text()) for file in PACKAGE.rglob("*.py")}
    assert {file: names for file, names in found.items() if names} == MAY_RUN


def test_the_test_itself_sees_what_would_run():
    assert _found("np.load(path)") == {"np.load"}
    assert _found("np.load(path, allow_pickle=True)") == {"np.load"}
    assert _found("subprocess.run(text, shell=True); yaml.safe_load(x)") == {"subprocess.run", "yaml.safe_load"}
    assert _found("np.load(path, allow_pickle=False); ast.literal_eval(x)") == set()
