"""A Ray head on this machine, the sprint as a Ray job, and what other clusters are made from.

``head`` starts and stops, ``jobs`` submits and follows, ``upload`` chooses what travels. The files
beside them (``ray-cluster.yaml``, ``kuberay/``, ``Containerfile``) build larger clusters.
"""
