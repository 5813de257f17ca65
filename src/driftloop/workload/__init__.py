"""What a loop is made of in a cluster: pure builders of Kubernetes objects. `adapters.kubeapi` applies them."""
