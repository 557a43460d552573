"""dltool: a clinic for neural-network training."""
