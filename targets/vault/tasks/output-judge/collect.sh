# The first line of the post.
head -n 1 blog-writer.txt | cut -c -80
