"""Up to the contract: whom we believe, what is asked for, what the policy and people say, and the documents signed."""
