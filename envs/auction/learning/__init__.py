"""AuctionGym's learned parts: click models, win-rate models and bid shading policies, trained by own kernels."""

from envs.auction.learning.doubly_robust import DoublyRobustBidder
from envs.auction.learning.logistic_allocator import LogisticAllocator
from envs.auction.learning.policy_learning import PolicyLearningBidder
from envs.auction.learning.value_learning import ValueLearningBidder

__all__ = ["DoublyRobustBidder", "LogisticAllocator", "PolicyLearningBidder", "ValueLearningBidder"]
