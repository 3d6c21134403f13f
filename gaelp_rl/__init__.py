"""The learning core of gaelp-rl: it knows no platform SDK and no server.

Importing it names the folder for compiled kernels (``kernel_cache.py``), which numba reads once.
"""

from gaelp_rl.kernel_cache import use_kernel_cache

use_kernel_cache()
