"""The gradients that are computed by hand equal PyTorch's own."""

import torch

from lba_cli.alignment.gradients import gather_partners, masked_distances, norms


def test_gradient_of_norms_is_zero_where_the_norm_is():
    vectors = torch.rand(3, 4, 5, dtype=torch.float64)
    vectors[1, 2] = 0
    vectors.requires_grad_()
    weights = torch.rand(3, 4, dtype=torch.float64)
    (found,) = torch.autograd.grad((norms(vectors) * weights).sum(), vectors)
    (wanted,) = torch.autograd.grad((torch.linalg.vector_norm(vectors, dim=-1) * weights).sum(), vectors)
    torch.testing.assert_close(found, wanted)
    assert not found[1, 2].any()


def test_gradient_of_partners_sums_over_images_that_share_one():
    values = torch.rand(4, 2, 3, dtype=torch.float64, requires_grad=True)
    indices = torch.tensor([[1, 3], [1, 1], [3, 2], [1, 3]])
    weights = torch.rand(4, 2, 2, 3, dtype=torch.float64)
    assert torch.equal(gather_partners(values, indices), values[indices])
    (found,) = torch.autograd.grad((gather_partners(values, indices) * weights).sum(), values)
    (wanted,) = torch.autograd.grad((values[indices] * weights).sum(), values)
    torch.testing.assert_close(found, wanted)
    assert not found[0].any()


def test_partner_indices_may_be_on_the_cpu_while_the_values_are_not():
    values = torch.rand(4, 2, 3, device="meta", requires_grad=True)
    gather_partners(values, torch.tensor([[1, 3], [1, 1], [3, 2], [1, 3]])).sum().backward()
    assert values.grad.shape == values.shape


def test_masked_distances_and_their_gradients():
    vectors, others = (torch.rand(shape, dtype=torch.float64) for shape in ((3, 4, 5), (3, 2, 4, 5)))
    mask, weights = torch.rand(3, 4, dtype=torch.float64), torch.rand(3, 2, 4, dtype=torch.float64)
    others[1, 1, 2] = vectors[1, 2]  # the difference is epsilon alone
    inputs = vectors.requires_grad_(), others.requires_grad_()
    literal = torch.linalg.vector_norm(mask[:, None, :, None] * (vectors[:, None] - others) + 1e-6, dim=-1)
    found = masked_distances(*inputs, mask, 1e-6)
    torch.testing.assert_close(found, literal)
    ours, reference = (torch.autograd.grad((each * weights).sum(), inputs) for each in (found, literal))
    torch.testing.assert_close(ours, reference)
    assert masked_distances(vectors, others.bfloat16(), mask, 0.0).dtype == torch.float64
