"""The shorter gradients are PyTorch's own."""

import torch

from lba_cli.alignment.gradients import lengths, masked_distances, of_partners


def test_the_gradient_of_lengths_also_where_they_are_zero():
    vectors = torch.rand(3, 4, 5, dtype=torch.float64)
    vectors[1, 2] = 0
    vectors.requires_grad_()
    weights = torch.rand(3, 4, dtype=torch.float64)
    (found,) = torch.autograd.grad((lengths(vectors) * weights).sum(), vectors)
    (wanted,) = torch.autograd.grad((torch.linalg.vector_norm(vectors, dim=-1) * weights).sum(), vectors)
    torch.testing.assert_close(found, wanted)
    assert not found[1, 2].any()


def test_the_gradient_of_partners_that_several_images_share():
    values = torch.rand(4, 2, 3, dtype=torch.float64, requires_grad=True)
    partners = torch.tensor([[1, 3], [1, 1], [3, 2], [1, 3]])
    weights = torch.rand(4, 2, 2, 3, dtype=torch.float64)
    assert torch.equal(of_partners(values, partners), values[partners])
    (found,) = torch.autograd.grad((of_partners(values, partners) * weights).sum(), values)
    (wanted,) = torch.autograd.grad((values[partners] * weights).sum(), values)
    torch.testing.assert_close(found, wanted)
    assert not found[0].any()


def test_partners_may_be_told_on_the_cpu_wherever_the_values_are():
    values = torch.rand(4, 2, 3, device="meta", requires_grad=True)
    of_partners(values, torch.tensor([[1, 3], [1, 1], [3, 2], [1, 3]])).sum().backward()
    assert values.grad.shape == values.shape


def test_masked_distances_and_their_gradients():
    vectors, others = (torch.rand(shape, dtype=torch.float64) for shape in ((3, 4, 5), (3, 2, 4, 5)))
    mask, weights = torch.rand(3, 4, dtype=torch.float64), torch.rand(3, 2, 4, dtype=torch.float64)
    others[1, 1, 2] = vectors[1, 2]  # a length of nothing but epsilon
    inputs = vectors.requires_grad_(), others.requires_grad_()
    literal = torch.linalg.vector_norm(mask[:, None, :, None] * (vectors[:, None] - others) + 1e-6, dim=-1)
    found = masked_distances(*inputs, mask, 1e-6)
    torch.testing.assert_close(found, literal)
    ours, theirs = (torch.autograd.grad((each * weights).sum(), inputs) for each in (found, literal))
    torch.testing.assert_close(ours, theirs)
    assert masked_distances(vectors, others.bfloat16(), mask, 0.0).dtype == torch.float64
