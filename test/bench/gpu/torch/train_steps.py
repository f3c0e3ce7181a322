"""Times training steps of VDSM: python3 train_steps.py SPEC.json --seconds N [--trial]. One line of JSON for each mode.

SPEC says what one stage of one configuration is: {config, stage, learningRate, schedule, params: {path: shape}, frozen: {path: shape}, x: shape}, as
test/bench/gpu/spec.ts writes it. A step draws its noise, computes loss and gradients, clips them by their global norm and takes a step of Adam
(fused where the library has that); frames stay on the device. The decoders of all sequences are tried in both forms of model.py.
"""
import argparse
import json
import math

import torch

from measure import device, measured, tell, versions
from model import losses, nested, prepared


def started(shapes, on, made):
    """Parameters that keep numbers of a usual size: normal, by the number of inputs of a unit."""
    def one(path, shape):
        if len(shape) < 2 or path.endswith('bias'):
            return torch.zeros(shape, device=on)
        # [out, in, ...] but in the bank, [experts, in, out, 4, 4], where 4 of 16 taps meet an output.
        fan = shape[1] * 4 if len(shape) == 5 else math.prod(shape[1:])
        return torch.randn(shape, device=on, generator=made).mul_(1 / math.sqrt(fan))
    return {path: one(path, shape) for path, shape in shapes.items()}


def step_of(spec, on, form, kind, cells):
    """make(compiled) for `measured`."""
    stage, sizes = spec['stage'], spec['config']['sizes']
    made = torch.Generator(device=on).manual_seed(0)
    trained = {path: x.requires_grad_() for path, x in started(spec['params'], on, made).items()}
    frozen = started(spec['frozen'], on, made)
    x = torch.rand(spec['x'], device=on, generator=made)
    config = prepared(spec['config'], x, cells)
    b, p, t = spec['x'][:3]
    shapes = {'s': (b, p, sizes['S']), 'd': (b, p, sizes['D']), 'z': (b, p, t, sizes['Z'])}
    if stage == 'frames':
        del shapes['d']
    schedule = {name: torch.tensor(value, device=on) for name, value in spec['schedule'].items()}
    tree = nested({**trained, **frozen})
    params = list(trained.values())
    fused = {'fused': True} if on.type == 'cuda' and int(torch.__version__.split('.')[0]) >= 2 else {}

    def make(compiled):
        optimizer = torch.optim.Adam(params, lr=spec['learningRate'], **fused)
        # The flat trees go in as arguments, so that a compiled function takes them as inputs and not as constants.
        loss = compiled(lambda tree, x, eps, schedule: losses[stage](config, tree, x, eps, schedule, form)[0])

        def step():
            if kind == 'graphs':
                torch.compiler.cudagraph_mark_step_begin()
            eps = {name: torch.randn(shape, device=on) for name, shape in shapes.items()}
            optimizer.zero_grad(set_to_none=True)
            value = loss(tree, x, eps, schedule)
            value.backward()
            torch.nn.utils.clip_grad_norm_(params, config['options']['clipNorm'])
            optimizer.step()
            return value
        return step
    return make


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('spec')
    parser.add_argument('--seconds', type=float, default=10)
    parser.add_argument('--trial', action='store_true', help='on the processor where there is nothing else: the figures mean nothing')
    options = parser.parse_args()
    with open(options.spec) as file:
        spec = json.load(file)
    on = device(options.trial)
    tell({'versions': versions()})

    def timed(kind, tf32, form, cells=False):
        label = f"torch {kind}{' tf32' if tf32 else ''} ({form}{', cells' if cells else ''})"
        return measured(label, kind, tf32, lambda compiled: step_of(spec, on, form, kind, cells)(compiled), options.seconds / 4, {'form': form, 'cells': cells})

    # The most telling first: a time limit may cut the rest off.
    best = {}
    for tf32 in (False, True):
        eager = {form: ms for form in ('grouped', 'columns') for ms in [timed('eager', tf32, form)] if ms is not None}
        best[tf32] = sorted(eager, key=eager.get) or ['grouped', 'columns']
    for kind, cells in (('compile', False), ('compile', True), ('graphs', False), ('graphs', True)):
        for tf32 in (False, True):
            # In stage 1 there is no LSTM.
            if spec['stage'] == 'video' or not cells:
                timed(kind, tf32, best[tf32][0], cells)
    for tf32 in (False, True):
        for form in best[tf32][1:]:
            timed('compile', tf32, form, spec['stage'] == 'video')


if __name__ == '__main__':
    main()
