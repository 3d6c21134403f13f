"""The only home of Ray RLlib: SAC on whole days of many worlds, with prioritized replay.

``algorithm`` composes the parts: ``env_runner`` collects days as arrays, ``replay`` keeps them,
``learner`` turns minibatches into updates of ``module``; ``checkpoint`` saves all of it without pickle.
"""
