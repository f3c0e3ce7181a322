"""The yardsticks of test/bench/models/yardsticks.ts in PyTorch: the VAE's loss, and what is timed of products and convolutions."""
import torch
import torch.nn.functional as F

VAE_SHAPES = {
    'e1.weight': (32, 3, 4, 4), 'e1.bias': (32,), 'e2.weight': (64, 32, 4, 4), 'e2.bias': (64,), 'e3.weight': (128, 64, 4, 4), 'e3.bias': (128,),
    'loc.weight': (32, 8192), 'loc.bias': (32,), 'logVariance.weight': (32, 8192), 'logVariance.bias': (32,),
    'd0.weight': (8192, 32), 'd0.bias': (8192,),
    'd1.weight': (128, 64, 4, 4), 'd1.bias': (64,), 'd2.weight': (64, 32, 4, 4), 'd2.bias': (32,), 'd3.weight': (32, 3, 4, 4), 'd3.bias': (3,),
}


def vae_loss(p, x, eps):
    """The mean over a batch of the negative bound: x [N, 3, 64, 64], eps [N, 32]."""
    h = x
    for name in ('e1', 'e2', 'e3'):
        h = F.relu(F.conv2d(h, p[f'{name}.weight'], p[f'{name}.bias'], stride=2, padding=1))
    h = h.flatten(1)
    loc = F.linear(h, p['loc.weight'], p['loc.bias'])
    log_variance = F.linear(h, p['logVariance.weight'], p['logVariance.bias'])
    z = loc + torch.exp(0.5 * log_variance) * eps
    g = F.relu(F.linear(z, p['d0.weight'], p['d0.bias'])).reshape(-1, 128, 8, 8)
    for name in ('d1', 'd2'):
        g = F.relu(F.conv_transpose2d(g, p[f'{name}.weight'], p[f'{name}.bias'], stride=2, padding=1))
    logits = F.conv_transpose2d(g, p['d3.weight'], p['d3.bias'], stride=2, padding=1)
    kl = 0.5 * (loc.square() + log_variance.exp() - 1 - log_variance).sum()
    return (kl + F.binary_cross_entropy_with_logits(logits, x, reduction='sum')) / x.shape[0]


def vae_step(optimizer, params, loss):
    """A training step over a loss that may be compiled."""
    def step(x, eps):
        optimizer.zero_grad(set_to_none=True)
        value = loss(params, x, eps)
        value.backward()
        optimizer.step()
        return value
    return step


def job(name, device, small=False):
    """A function without arguments that is timed, and its floating-point operations. `loss` wraps what may be compiled."""
    made = torch.Generator(device=device).manual_seed(0)

    def random(*shape, scale=1.0):
        return torch.rand(shape, device=device, generator=made).sub_(0.5).mul_(scale)

    if name.startswith('matmul'):
        n = 64 if small else int(name[len('matmul'):])
        a, b = random(n, n), random(n, n)
        return 2 * n ** 3, lambda compiled: (lambda f: lambda: f(a, b))(compiled(torch.matmul))
    batch = 2 if small else 32
    if name in ('convForward', 'convBackward'):
        x, w = random(batch, 32, 32, 32), random(64, 32, 4, 4)
        ct = random(batch, 64, 16, 16)
        flops = 2 * batch * 64 * 16 * 16 * 32 * 16

        def forward(x, w):
            return F.conv2d(x, w, stride=2, padding=1)

        def both(x, w, ct):
            y = forward(x, w)
            gx, gw, _ = torch.ops.aten.convolution_backward(ct, x, w, [0], [2, 2], [1, 1], [1, 1], False, [0, 0], 1, [True, True, False])
            return y, gx, gw

        if name == 'convForward':
            return flops, lambda compiled: (lambda f: lambda: f(x, w))(compiled(forward))
        return 3 * flops, lambda compiled: (lambda f: lambda: f(x, w, ct))(compiled(both))
    if name == 'vaeStep':
        params = {path: random(*shape, scale=0.1).requires_grad_() for path, shape in VAE_SHAPES.items()}
        x, eps = random(batch, 3, 64, 64).add_(0.5), random(batch, 32)
        fused = {'fused': True} if x.is_cuda and int(torch.__version__.split('.')[0]) >= 2 else {}

        def make(compiled):
            step = vae_step(torch.optim.Adam(params.values(), lr=1e-3, **fused), params, compiled(vae_loss))
            return lambda: step(x, eps)
        return None, make
    raise SystemExit(f'no yardstick is called {name}')
