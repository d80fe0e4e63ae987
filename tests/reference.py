"""Training in plain float64 NumPy, one fit at a time, written from the formulas and independent of JAX."""

from itertools import pairwise

import numpy as np


def split(network_widths, vector):
    """Weights and biases of a ReLU multilayer perceptron from its flat vector."""
    layers, start = [], 0
    for inputs, outputs in pairwise(network_widths):
        weight = vector[start : start + inputs * outputs].reshape(outputs, inputs)
        start += inputs * outputs
        layers.append((weight, vector[start : start + outputs]))
        start += outputs
    return layers


def relu_loss_and_gradient(widths, vector, x, y):
    """Mean squared error of a ReLU multilayer perceptron and its gradient, by backpropagation."""
    layers = split(widths, vector)
    hidden, inputs = [x], []
    for index, (weight, bias) in enumerate(layers):
        z = hidden[-1] @ weight.T + bias
        inputs.append(z)
        hidden.append(z if index == len(layers) - 1 else np.where(z > 0, z, 0.0))
    error = hidden[-1] - y
    delta = 2 * error / error.size
    parts = []
    for index in reversed(range(len(layers))):
        parts.append(np.concatenate([(delta.T @ hidden[index]).ravel(), delta.sum(0)]))
        if index:
            delta = (delta @ layers[index][0]) * (inputs[index - 1] > 0)
    return float(np.mean(error**2)), np.concatenate(parts[::-1])


def sgd(learning_rate):
    return lambda gradient, state, step: (-learning_rate * gradient, state)


def momentum(learning_rate, decay):
    def update(gradient, velocity, step):
        velocity = gradient + decay * (0 if velocity is None else velocity)
        return -learning_rate * velocity, velocity

    return update


def adadelta(learning_rate, rho, eps):
    """Zeiler (2012), algorithm 1."""

    def update(gradient, state, step):
        square, moved = (np.zeros_like(gradient), np.zeros_like(gradient)) if state is None else state
        square = rho * square + (1 - rho) * gradient**2
        delta = np.sqrt(moved + eps) / np.sqrt(square + eps) * gradient
        return -learning_rate * delta, (square, rho * moved + (1 - rho) * delta**2)

    return update


def adam(learning_rate, b1, b2, eps):
    """Kingma and Ba (2015), algorithm 1."""

    def update(gradient, state, step):
        first, second = (np.zeros_like(gradient), np.zeros_like(gradient)) if state is None else state
        first, second = b1 * first + (1 - b1) * gradient, b2 * second + (1 - b2) * gradient**2
        corrected = first / (1 - b1 ** (step + 1)), second / (1 - b2 ** (step + 1))
        return -learning_rate * corrected[0] / (np.sqrt(corrected[1]) + eps), (first, second)

    return update


def train(widths, start, x, y, update, steps):
    """Parameters after `steps`, and the loss before each step and after the last."""
    vector, state, losses = np.array(start, np.float64), None, []
    for step in range(steps):
        loss, gradient = relu_loss_and_gradient(widths, vector, x, y)
        losses.append(loss)
        change, state = update(gradient, state, step)
        vector = vector + change
    losses.append(relu_loss_and_gradient(widths, vector, x, y)[0])
    return vector, np.array(losses)
