"""VDSM in PyTorch, batched: the peer that training steps are compared with.

The same equations as models/vdsm, written the way that is fast in PyTorch: all frames of a batch go through the encoder at once, the two-way
LSTM is the library's own, and the decoders of all sequences, each with weights of its own, are one grouped convolution or one batched product.

Parameters are nested dictionaries under the names of models/vdsm (`p['encoder']['conv1']['weight']`), so what either side trains or exports can
be loaded by the other. `c` is what `prepared` makes of a configuration: {sizes, frames, video, options}, as models/vdsm/config.ts has it. Needs
torch 1.13 or newer.
"""
import math

import torch
import torch.nn.functional as F

LEAST_LOGIT = -30.0  # what lies below counts as constant in the likelihood, as in dsl/prob
FROZEN = ('encoder', 'pose', 'bank')  # what stage 2 leaves as stage 1 made it


# ---- parameters by path ------------------------------------------------------------------------------------------
def nested(flat):
    """{'a.b': x} as {'a': {'b': x}}."""
    tree = {}
    for path, value in flat.items():
        *above, last = path.split('.')
        at = tree
        for key in above:
            at = at.setdefault(key, {})
        at[last] = value
    return tree


def flattened(tree, prefix=''):
    """The inverse of `nested`."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.update(flattened(value, f'{prefix}{key}.'))
        else:
            flat[f'{prefix}{key}'] = value
    return flat


# ---- layers ------------------------------------------------------------------------------------------------------
def linear(p, x):
    return F.linear(x, p['weight'], p['bias'])


def head(p, x):
    """N(loc, scale) as the pair of both."""
    return linear(p['loc'], x), F.softplus(linear(p['scale'], x))


def prepared(config, like, cells=False):
    """A configuration with the blur's filters (1 3 3 1 in both directions, once for each channel) of the type and device of `like`; with `cells` the
    two-way LSTM is written out step by step, which compilers may like better than the library's own."""
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=like.dtype, device=like.device) / 8
    channels = sorted({config['sizes'][name] for name in ('C1', 'C2', 'C3', 'C4')})
    return {**config, 'cells': cells, 'filters': {n: torch.outer(row, row).expand(n, 1, 4, 4).contiguous() for n in channels}}


def blur_pool(c, x):
    """Blurs, then keeps every second row and column: of 63 there remain 32."""
    channels = x.shape[1]
    return F.conv2d(F.pad(x, (1, 2, 1, 2)), c['filters'][channels], stride=2, groups=channels)


def encoder(c, p, x):
    """x [N, 3, 64, 64] to e [N, E] and h [N, F]."""
    o = c['options']
    slope = o['slope']
    x = (x - o['input']['shift']) * o['input']['scale']
    for name in ('conv1', 'conv2', 'conv3', 'conv4'):
        x = F.conv2d(x, p[name]['weight'], p[name]['bias'], padding=1)
        # The map of a layer is 2n - 1 wide where its image is 2n wide, and the blur brings it to n.
        x = blur_pool(c, F.leaky_relu(x, slope))
    h = F.leaky_relu(F.conv2d(x, p['conv5']['weight'], p['conv5']['bias']), slope).flatten(1)
    return F.leaky_relu(linear(p['embed'], h), slope), h


def identity(c, p, e):
    """q(s | x): e [B, P, T, E] to two of [B, P, S]."""
    if c['options']['staticMean'] == 'embedding':
        return head(p, e.mean(2))
    loc, scale = head(p, e)
    return loc.mean(2), scale.mean(2)


def of_next(q):
    """What the next part of a group says, for each of its P parts in a circle."""
    loc, scale = q
    return (loc, scale) if loc.shape[1] == 1 else (loc.roll(-1, 1), scale.roll(-1, 1))


# ---- the decoder -------------------------------------------------------------------------------------------------
def blended(bank, w):
    """w [N, S]: the weights and biases of N decoders, each the mixture of the bank's."""
    def mix(x):
        return (w @ x.reshape(x.shape[0], -1)).reshape(w.shape[0], *x.shape[1:])
    return {name: {part: mix(x) for part, x in layer.items()} for name, layer in bank.items()}


def up_grouped(x, layer, n, t):
    """x [T, N * I, H, W] by N transposed convolutions, one for each group of I channels."""
    weight, bias = layer['weight'], layer['bias']
    return F.conv_transpose2d(x, weight.flatten(0, 1), bias.flatten(), stride=2, padding=1, groups=n)


def up_columns(x, layer, n, t):
    """x [N, T, I, H, W] by N transposed convolutions as one batched product, whose columns are then added up."""
    weight, bias = layer['weight'], layer['bias']
    i, o = weight.shape[1], weight.shape[2]
    h = x.shape[-1]
    columns = torch.bmm(weight.reshape(n, i, o * 16).transpose(1, 2), x.transpose(1, 2).reshape(n, i, t * h * h))
    columns = columns.reshape(n, o * 16, t, h * h).transpose(1, 2).reshape(n * t, o * 16, h * h)
    y = F.fold(columns, (2 * h, 2 * h), 4, stride=2, padding=1).reshape(n, t, o, 2 * h, 2 * h)
    return y + bias.reshape(n, 1, o, 1, 1)


def decode(c, bank, temperature, s, z, form):
    """Logits [N, T, 3, 64, 64] of N sequences: s [N, S], z [N, T, Z]. `form` is 'grouped' or 'columns'."""
    slope = c['options']['slope']
    n, t = z.shape[:2]
    w = torch.softmax(s * temperature, -1)
    own = blended(bank, w)
    who = s if c['options']['decoderInput'] == 's' else w
    sz = torch.cat([who.unsqueeze(1).expand(n, t, who.shape[-1]), z], -1)
    # From 1 x 1 a transposed convolution is a product.
    first = own['layer1']
    i, o = first['weight'].shape[1], first['weight'].shape[2]
    x = torch.bmm(sz, first['weight'].reshape(n, i, o * 16)).reshape(n, t, o, 4, 4) + first['bias'].reshape(n, 1, o, 1, 1)
    x = F.leaky_relu(x, slope)
    if form == 'grouped':
        x = x.transpose(0, 1).reshape(t, n * o, 4, 4)
    up = up_grouped if form == 'grouped' else up_columns
    for name in ('layer2', 'layer3', 'layer4'):
        x = F.leaky_relu(up(x, own[name], n, t), slope)
    x = up(x, own['layer5'], n, t)
    return x.reshape(t, n, 3, 64, 64).transpose(0, 1) if form == 'grouped' else x


# ---- distributions -----------------------------------------------------------------------------------------------
def draw(q, noise):
    return q[0] + q[1] * noise


def kl(q, p):
    """KL(q || p) of normals, summed."""
    (mq, sq), (mp, sp) = q, p
    return (torch.log(sp / sq) + 0.5 * ((sq.square() + (mq - mp).square()) / sp.square() - 1)).sum()


def kl_centred(q, deviation):
    """KL(q || N(0, deviation^2)), summed."""
    mq, sq = q
    return (math.log(deviation) - torch.log(sq) + 0.5 * ((sq.square() + mq.square()) / deviation ** 2 - 1)).sum()


def kl_prior(q, choice, p):
    """Of s or d against its prior under each reading of Eq. 1."""
    n = q[0].shape[-1]
    if choice == 'learnt':
        return kl(q, (p['loc'], F.softplus(p['scale'])))
    return kl_centred(q, {'one': 1.0, 'varianceOverS': 1 / math.sqrt(n)}.get(choice, 1 / n))


def log_likelihood(logits, x):
    """Of a Bernoulli whose data may lie between 0 and 1, summed."""
    return (x * logits - F.softplus(logits.clamp(min=LEAST_LOGIT))).sum()


def disagreement(q):
    return kl(q, of_next(q))


# ---- stage 1 -----------------------------------------------------------------------------------------------------
def frames_loss(c, p, x, eps, schedule, form='grouped'):
    """The loss of stage 1 (nats a frame) and its parts: x [B, P, T, 3, 64, 64], eps {s, z}."""
    o = c['options']
    b, k, t = x.shape[:3]
    e, h = encoder(c, p['encoder'], x.flatten(0, 2))
    q_s = identity(c, p['identity'], e.reshape(b, k, t, -1))
    q_z = head(p['pose'], h.reshape(b, k, t, -1))
    q_next = of_next(q_s)
    s, z = draw(q_next, eps['s']), draw(q_z, eps['z'])
    logits = decode(c, p['bank'], schedule['temperature'], s.flatten(0, 1), z.flatten(0, 1), form)
    likelihood = log_likelihood(logits, x.flatten(0, 1)) / (b * k * t)
    kl_s = kl_prior(q_next, o['priorS'], p['priorS']) / (b * k)
    kl_z = kl_centred(q_z, 1.0) / (b * k * t)
    bound = likelihood - schedule['lambdaS'] * kl_s / t - schedule['lambdaZ'] * kl_z
    # The bound looks at q(s | next part); their disagreement sums over the circle, so it does not matter which one starts.
    apart = disagreement(q_next) / (b * k) if o['agreement'] != 0 and k > 1 else torch.zeros_like(bound)
    loss = apart * o['agreement'] / t - bound
    return loss, {'loss': loss, 'logLikelihood': likelihood, 'klS': kl_s, 'klZ': kl_z, 'disagreement': apart}


# ---- stage 2 -----------------------------------------------------------------------------------------------------
NAMES = ('weightIh', 'weightHh', 'biasIh', 'biasHh')


def by_cells(layers, xs):
    """The final hidden states of a two-way LSTM, [N, L * 2 * H], over xs [N, T, I]."""
    count, _, hidden = layers['forward']['weightHh'].shape
    finals = []
    for i in range(count):
        outputs = []
        for way in ('forward', 'backward'):
            weights = [layers[way][name][i] for name in NAMES]
            given = F.linear(xs, weights[0], weights[2]).unbind(1)
            h = cell = xs.new_zeros(xs.shape[0], hidden)
            seen = []
            for x in given if way == 'forward' else given[::-1]:
                a, f, g, o = (x + F.linear(h, weights[1], weights[3])).chunk(4, -1)
                cell = torch.sigmoid(f) * cell + torch.sigmoid(a) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(cell)
                seen.append(h)
            finals.append(h)
            outputs.append(torch.stack(seen if way == 'forward' else seen[::-1], 1))
        xs = torch.cat(outputs, -1)
    return torch.cat(finals, -1)


def dynamics(c, p, poses):
    """q(d | x): poses [N, T, Z] to two of [N, D], by an LSTM in both directions."""
    xs = linear(p['embed'], poses)
    layers = p['layers']
    if c['cells']:
        return head(p['head'], by_cells(layers, xs))
    count, _, hidden = layers['forward']['weightHh'].shape
    weights = [
        layers[way][name][i]
        for i in range(count) for way in ('forward', 'backward') for name in NAMES
    ]
    zero = xs.new_zeros(2 * count, xs.shape[0], hidden)
    _, finals, _ = torch._VF.lstm(xs, (zero, zero), weights, True, count, 0.0, torch.is_grad_enabled(), True, True)
    return head(p['head'], finals.transpose(0, 1).flatten(1))


def contexts(p, d, steps):
    """[N, T, H] from d [N, D]: an LSTM that reads its own last output."""
    count, _, hidden = p['layers']['weightHh'].shape
    n = d.shape[0]
    h = list(torch.tanh(linear(p['hidden'], d)).reshape(n, count, hidden).unbind(1))
    cell = list(linear(p['cell'], d).reshape(n, count, hidden).unbind(1))
    weights = [[p['layers'][name][i] for name in NAMES] for i in range(count)]
    x = p['start'].expand(n, hidden)
    outputs = []
    for _ in range(steps):
        for i in range(count):
            h[i], cell[i] = torch.lstm_cell(x, (h[i], cell[i]), *weights[i])
            x = h[i]
        outputs.append(x)
    return torch.stack(outputs, 1)


def poses_of(p, hs, d, noise):
    """q(z | x, d) along its own draws (Eq. 5): hs [N, T, H], noise [N, T, Z]; gives (loc, scale) and the draws."""
    n, t, _ = hs.shape
    g = linear(p['context'], torch.cat([hs, d.unsqueeze(1).expand(n, t, d.shape[-1])], -1))
    z = p['start'].expand(n, noise.shape[-1])
    locs, scales, draws = [], [], []
    for i in range(t):
        loc, scale = head(p['pose'], 0.5 * (torch.tanh(linear(p['previous'], z)) + g[:, i]))
        z = loc + scale * noise[:, i]
        locs.append(loc)
        scales.append(scale)
        draws.append(z)
    return (torch.stack(locs, 1), torch.stack(scales, 1)), torch.stack(draws, 1)


def transition(c, p, z, d):
    """p(z_t | z_t-1, d), Eq. 6, for any leading axes."""
    zd = torch.cat([z, d], -1)
    gate = torch.sigmoid(linear(p['gate']['out'], F.relu(linear(p['gate']['hidden'], zd))))
    proposed = linear(p['proposal']['out'], F.relu(linear(p['proposal']['hidden'], zd)))
    kept = linear(p['kept'], z)
    if c['options']['transitionLinear'] != 'z':
        kept = kept + linear(p['drift'], d)
    return gate * proposed + (1 - gate) * kept, F.softplus(linear(p['scale'], F.relu(proposed)))


def kl_poses(c, p, q, z, d):
    """KL of all poses against p(z_1) and the transitions: q of [N, T, Z], z [N, T, Z] their draws, d [N, D]."""
    n, t, size = z.shape
    standard = c['options']['firstPose'] == 'standard'
    before = z[:, :-1] if standard else torch.cat([p['start'].expand(n, 1, size), z[:, :-1]], 1)
    prior = transition(c, p, before, d.unsqueeze(1).expand(n, before.shape[1], d.shape[-1]))
    if not standard:
        return kl(q, prior)
    loc, scale = q
    return kl_centred((loc[:, 0], scale[:, 0]), 1.0) + kl((loc[:, 1:], scale[:, 1:]), prior)


def video_loss(c, p, x, eps, schedule, form='grouped'):
    """The loss of stage 2 (nats a frame) and its parts: p holds trained and frozen parameters, eps {s, d, z}."""
    o = c['options']
    b, k, t = x.shape[:3]
    with torch.no_grad():  # The encoder and the pose head are frozen, and nothing that is trained comes before them.
        e, h = encoder(c, p['encoder'], x.flatten(0, 2))
        seen = linear(p['pose']['loc'], h).reshape(b * k, t, -1)
    q_next = of_next(identity(c, p['identity'], e.reshape(b, k, t, -1)))
    s = draw(q_next, eps['s']).flatten(0, 1)
    q_d = dynamics(c, p['dynamics'], seen)
    d = draw(q_d, eps['d'].flatten(0, 1))
    q_z, z = poses_of(p['combiner'], contexts(p['sequence'], d, t), d, eps['z'].flatten(0, 1))
    logits = decode(c, p['bank'], schedule['temperature'], s, z, form)
    likelihood = log_likelihood(logits, x.flatten(0, 1)) / (b * k * t)
    kl_s = kl_prior(q_next, o['priorS'], p['priorS']) / (b * k)
    kl_d = kl_prior(q_d, o['priorD'], p['priorD']) / (b * k)
    kl_z = kl_poses(c, p['transition'], q_z, z, d) / (b * k * t)
    bound = likelihood - (schedule['lambdaS'] * kl_s + schedule['lambdaD'] * kl_d) / t - schedule['lambdaZ'] * kl_z
    apart = disagreement(q_next) / (b * k) if o['agreement'] != 0 and k > 1 else torch.zeros_like(bound)
    loss = apart * o['agreement'] / t - bound
    return loss, {'loss': loss, 'logLikelihood': likelihood, 'klS': kl_s, 'klD': kl_d, 'klZ': kl_z, 'disagreement': apart}


losses = {'frames': frames_loss, 'video': video_loss}
