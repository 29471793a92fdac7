"""The shorter gradients are PyTorch's own."""

import torch

from lba_cli.alignment.gradients import lengths, of_partners


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
    partner = torch.tensor([1, 1, 3, 1])
    weights = torch.rand(4, 2, 3, dtype=torch.float64)
    assert torch.equal(of_partners(values, partner), values[partner])
    (found,) = torch.autograd.grad((of_partners(values, partner) * weights).sum(), values)
    (wanted,) = torch.autograd.grad((values[partner] * weights).sum(), values)
    torch.testing.assert_close(found, wanted)
    assert not found[0].any()
