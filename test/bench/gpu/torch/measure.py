"""What the measurements in PyTorch have in common: modes, times by the wall with nothing left in the queue, one line of JSON for each result.

A mode is `eager` or `compile` (torch.compile, its default) or `graphs` (its mode reduce-overhead, with CUDA graphs), each with f32 products
(no TF32 anywhere) or with TF32 where the library can. What fails is a line as well, and the next mode goes on.
"""
import json
import statistics
import sys
import time

import torch


def versions():
    found = {'python': sys.version.split()[0], 'torch': torch.__version__, 'cuda': torch.version.cuda, 'cudnn': torch.backends.cudnn.version()}
    if torch.cuda.is_available():
        found['device'] = torch.cuda.get_device_name(0)
        found['capability'] = '.'.join(map(str, torch.cuda.get_device_capability(0)))
    return found


def set_tf32(on):
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def compiler(kind):
    """A function that compiles functions, for a kind of mode."""
    if kind == 'eager':
        return lambda f: f
    if not hasattr(torch, 'compile'):
        raise RuntimeError(f'torch {torch.__version__} has no torch.compile')
    torch._dynamo.reset()
    return lambda f: torch.compile(f, mode='reduce-overhead' if kind == 'graphs' else 'default')


def wait():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def times(f, seconds, rounds=7):
    """Milliseconds of a call: the median of several rounds and the best, each round as many calls in a row as fill its time, then a wait."""
    for _ in range(3):
        f()
    wait()
    start = time.perf_counter()
    f()
    wait()
    once = time.perf_counter() - start
    count = max(1, min(10_000, int(seconds / rounds / max(once, 1e-6))))
    found = []
    for _ in range(rounds):
        wait()
        start = time.perf_counter()
        for _ in range(count):
            f()
        wait()
        found.append(1000 * (time.perf_counter() - start) / count)
    return {'ms': statistics.median(found), 'bestMs': min(found), 'onceMs': 1000 * once, 'calls': count * rounds}


def tell(result):
    print(json.dumps(result), flush=True)


def measured(label, kind, tf32, make, seconds, more=None):
    """Measures one mode: `make(compiled)` gives the function to be called. Tells the result; gives milliseconds, or None where it failed."""
    about = {'mode': label, 'kind': kind, 'tf32': tf32, **(more or {})}
    try:
        set_tf32(tf32)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        f = make(compiler(kind))
        f()
        wait()
        first = time.perf_counter() - started
        found = times(f, seconds)
        memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
        tell({**about, **found, 'firstSeconds': first, 'memoryBytes': memory})
        return found['ms']
    except Exception as error:  # one mode that fails must not end the others
        tell({**about, 'error': f'{type(error).__name__}: {str(error).strip()[:400]}'})
        return None


def device(trial):
    """cuda; in a trial, whose figures mean nothing, whatever is here."""
    if torch.cuda.is_available():
        # Shapes never change here: the library may look for its fastest convolutions, as ours are chosen by measuring.
        torch.backends.cudnn.benchmark = True
        return torch.device('cuda')
    if trial:
        return torch.device('cpu')
    raise SystemExit('PyTorch sees no CUDA device here')
